"""Scores in words: the lines a command prints and the tables behind them, from a test_metrics.json dict."""

from ser.evaluation.auxiliary import auxiliary_lines
from ser.evaluation.dimension_words import TABLE_ALIGN, TABLE_HEADER, ccc_words, fold_words, of_dimensions, table_rows
from ser.evaluation.tables import counted, percent, percent_with_interval, text_table

PER_CLASS_HEADER = ('class', 'precision', 'recall', 'F1', 'clips')
PER_CLASS_ALIGN = 'lrrrr'


def audience(metrics):
    """Who was tested: '6 unseen speakers, 120 clips', with the doubt or the dependence said."""
    clips, speakers = counted(metrics['n'], 'clip'), metrics['n_speakers']
    if speakers is None:
        heard = {False: ', speaker-dependent'}.get(metrics['speaker_disjoint'], '')
        return f'{clips}, speakers unknown{heard}'
    noun = {True: 'unseen speaker'}.get(metrics['speaker_disjoint'], 'speaker')
    dependent = ', speaker-dependent' if metrics['speaker_disjoint'] is False else ''
    return f'{counted(speakers, noun)}, {clips}{dependent}'


def is_ensemble(metrics):
    """Whether the scores of a test_metrics.json dict are those of several runs' mean, and of no single model."""
    return 'members' in metrics.get('ensemble', {})


def score_line(metrics):
    """One line: who was tested, UA and WA with intervals, macro-F1, chance; or the CCC of each dimension."""
    if of_dimensions(metrics):
        return f'test ({audience(metrics)}): {ccc_words(metrics)}'
    inside = '' if metrics['excludes_chance'] else ' (inside the interval of UA)'
    together = f"{metrics['ensemble']['what']}, " if is_ensemble(metrics) else ''
    return (f"{together}test ({audience(metrics)}): UA {percent_with_interval(metrics['ua'], metrics['ua_interval'])}, "
            f"WA {percent_with_interval(metrics['wa'], metrics['wa_interval'])}, "
            f"macro-F1 {percent(metrics['macro_f1'])}; chance {percent(metrics['chance'])}{inside}")


def summary_lines(metrics):
    """The few lines a command prints after a test: the scores, then every warning and note."""
    lines = [score_line(metrics)]
    if metrics.get('folds') and of_dimensions(metrics):
        lines.append(fold_words(metrics))
    elif metrics.get('folds'):
        values = ', '.join(percent(fold['ua']) for fold in metrics['folds'])
        lines.append(f"UA per fold: {values}; mean {percent(metrics['fold_ua_mean'])}, "
                     f"standard deviation {100 * metrics['fold_ua_sd']:.1f}")
    if is_ensemble(metrics):
        each = ', '.join(f"{percent(one['ua'])} ({one['run']})" for one in metrics['ensemble']['members'])
        lines.append(f"UA of each run alone: {each}; mean {percent(metrics['ensemble']['member_ua']['mean'])}")
    return [*lines, *auxiliary_lines(metrics), *metrics['notes']]


def warnings_of(facts, intervals, absent, names):
    """What a reader must know beside the score, most important first, as a list of lines.

    facts: run_files.Facts; intervals: intervals.Intervals; absent: names of classes without test clips.
    """
    lines = evidence_warnings(facts, intervals)
    if intervals.ua[0] == intervals.ua[1]:
        lines.append('the interval of UA has no width: every resample scores the same, so it understates the doubt')
    if absent:
        lines.append(f"no test clip is {' or '.join(absent)}: UA, macro-F1 and chance are over the other "
                     f'{len(names) - len(absent)} of {len(names)} classes')
    return lines + [note for note in facts.notes if note not in lines]


def evidence_warnings(facts, intervals):
    """What the test part itself leaves in doubt, whatever was scored: shared speakers, synthetic speech, intervals.

    facts: run_files.Facts; intervals: of their covers_new_speakers and n_speakers.
    """
    lines = []
    if facts.speaker_disjoint is False:
        lines.append('speaker-dependent: speakers or recordings of the test are in training, so this is optimistic')
    elif facts.speaker_disjoint is None:
        lines.append('speakers unknown: the same speakers may be in training, so this may be optimistic')
    if facts.synthetic:
        lines.append('synthetic speech, made for trying the software: the score says nothing about real voices')
    if not intervals.covers_new_speakers:
        lines.append('the intervals do not cover new speakers: '
                     + ('speakers are unknown' if intervals.n_speakers is None
                        else f"only {counted(intervals.n_speakers, 'test speaker')}") + ', so clips were resampled')
    return lines


def per_class_rows(metrics):
    """Rows of precision, recall, F1 (percent) and clips, one per class, for text_table or markdown_table."""
    return [(name, *(percent(values[key]) for key in ('precision', 'recall', 'f1')), values['support'])
            for name, values in metrics['per_class'].items()]


def per_class_lines(metrics):
    """The table of the classes, or of the dimensions, as lines of aligned text."""
    if of_dimensions(metrics):
        return text_table(TABLE_HEADER, table_rows(metrics), TABLE_ALIGN)
    return text_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN)
