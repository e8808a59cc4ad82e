"""Scores by speaker and by group, each with its clips, its interval and what so few speakers mean."""

from ser.evaluation.folders import without_folders
from ser.evaluation.tables import CLIPS_ONLY, counted, percent
from ser.files import natural
from ser.reports.charts import interval
from ser.reports.group_scores import common_value, speaker_groups, third_groups, word_groups
from ser.reports.html import Section, Value, paragraph, table, unseen

FILE = 'predictions.csv'
MOST_SPEAKERS = 60
"""Speakers beyond which a table shows the lowest and the highest scores alone."""

_MISSING = 'predictions.csv is missing.'


def speaker_section(contents):
    """A row per speaker of the test part."""
    title = 'Speakers'
    if contents.predictions is None:
        return Section(title, missing=_MISSING)
    found = speaker_groups(contents.predictions, contents.evaluation)
    if not found:
        return Section(title, missing='Nobody knows who speaks in the test clips.')
    unknown = sum(speaker is None for speaker in contents.predictions.speakers)
    ordered = sorted(found, key=lambda group: (-group.score, natural(group.name)))
    tables = [_speaker_table('Speakers, the best understood first', ordered, contents)]
    if len(ordered) > MOST_SPEAKERS:
        half = MOST_SPEAKERS // 2
        tables = [_speaker_table(f'The {half} best understood of {len(ordered)} speakers', ordered[:half], contents),
                  _speaker_table(f'The {half} worst understood', ordered[-half:], contents)]
    spread = f'from {_written(ordered[-1].score, contents)} to {_written(ordered[0].score, contents)}' \
        if len(ordered) > 1 else f'{_written(ordered[0].score, contents)} of one speaker'
    return Section(title, (
        paragraph(f'{_measure(contents)} {spread}. Intervals resample the clips of that speaker, so they say how sure '
                  'the score of this voice is, not what another voice would score. The tick is the score of all clips.',
                  contents.mean_remark),
        *tables, paragraph(f'{counted(unknown, "clip")} of unknown speakers left out.') if unknown else None))


def _speaker_table(caption, groups, contents):
    return table(caption, ('speaker', *_scored(contents), 'clips'),
                 [_row(group, contents) for group in groups], 'lrllrr')


def _scored(contents):
    """Headings of what `_row` says of a score."""
    score = _measure(contents)
    return (score, unseen(f'{score}, interval'), unseen(f'{score}, drawn'),
            'mean error' if contents.of_dimensions else 'WA')


def _measure(contents):
    return 'Mean CCC' if contents.of_dimensions else 'UA'


def _written(value, contents):
    return f'{value:z.2f}' if contents.of_dimensions else percent(value)


def _all(contents):
    """The score of all clips that predictions.csv gives: of seeds that of their mean, not the mean of theirs."""
    metrics = (contents.metrics.get('ensemble') if contents.kind == 'seeds' else None) or contents.metrics
    return metrics['mean_ccc' if contents.of_dimensions else 'ua']


def _row(group, contents, mark=''):
    low, high = group.interval
    ends = f'[{low:z.2f}, {high:z.2f}]' if contents.of_dimensions else f'[{100 * low:.1f}, {100 * high:.1f}]'
    clamped = [min(max(value, 0.0), 1.0) for value in (group.score, low, high, _all(contents))]
    right = Value(f'{group.right:.3f}' if contents.of_dimensions else percent(group.right), group.right, FILE)
    return (group.name, Value(_written(group.score, contents), group.score, FILE), f'{ends}{mark}',
            interval(*clamped), right, Value(f'{group.n:,}', group.n, FILE))


def group_section(contents, facts):
    """Gender, corpus, language, length and level of the test clips. facts: clip_facts.ClipFacts."""
    title = 'Groups'
    if contents.predictions is None:
        return Section(title, missing=_MISSING)
    if not facts.found:
        return Section(title, missing=f'Not known: {facts.problem}.')
    predictions, evaluation = contents.predictions, contents.evaluation
    grouped, single = [], []
    for name, values in facts.words.items():
        one = common_value(values, predictions.keys)
        if one is not None:
            single.append(f'{name} {one}')
        elif values:
            grouped.append((name, word_groups(predictions, values, evaluation), values))
    for name, values, written in (('length', facts.seconds, _seconds), ('level (RMS)', facts.level_db, _decibel)):
        grouped.append((f'{name}, in thirds', third_groups(predictions, values, evaluation, written), values))
    absent = [name for name, groups, _ in grouped if not groups]
    absent += [name for name, values in facts.words.items() if not values]
    tables = [_group_table(name, groups, contents, len(predictions) - len(values))
              for name, groups, values in grouped if groups]
    said = f"All test clips: {', '.join(single)}." if single else None
    without = f"Not known of these clips, or too few to be divided: {', '.join(absent)}." if absent else None
    return Section(title, (paragraph(said) if said else None,
                           paragraph(_caution(grouped, contents), contents.mean_remark), *tables,
                           paragraph(without) if without else None,
                           paragraph(f'{without_folders(facts.problem)}.') if facts.problem else None))


def _caution(grouped, contents):
    speakers = [group.n_speakers for _, groups, _ in grouped for group in groups if group.n_speakers is not None]
    few = f', the smallest of them {counted(min(speakers), "speaker")}' if speakers else ''
    marked = any(not group.covers_new_speakers for _, groups, _ in grouped for group in groups)
    star = f' {CLIPS_ONLY} clips alone were resampled: such an interval is too narrow for other speakers.' \
        if marked else ''
    other = '' if contents.of_dimensions else (' Groups also differ in which classes they hold; UA counts the classes '
                                               'that are there.')
    return (f'A group is made of few voices{few}: a difference between groups whose intervals overlap is no finding, '
            'and even a clear one may come from the voices, rooms or sentences of this corpus rather than from what '
            f'the group is called.{other}{star}')


def _group_table(name, groups, contents, left_out):
    rows = []
    for group in groups:
        speakers = 'unknown' if group.n_speakers is None else Value(str(group.n_speakers), group.n_speakers, FILE)
        classes = () if contents.of_dimensions else (f'{group.classes} of {len(contents.names)}',)
        rows.append((*_row(group, contents, '' if group.covers_new_speakers else CLIPS_ONLY), speakers, *classes))
    heading = () if contents.of_dimensions else ('classes',)
    left = f' ({counted(left_out, "clip")} of which nobody knows left out)' if left_out else ''
    return table(f'By {name}{left}', (name, *_scored(contents), 'clips', 'speakers', *heading), rows,
                 'lrllrrr' + 'r' * len(heading))


def _seconds(value):
    return f'{value:.2f} s'


def _decibel(value):
    return f'{value:.1f} dBFS'

