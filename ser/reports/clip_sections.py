"""Clips to listen to, and the test part again under noise, codecs and cuts."""

from ser.evaluation.tables import percent
from ser.reports.charts import interval, picture
from ser.reports.html import Section, Value, element, paragraph, pointer, table, unseen
from ser.reports.score_sections import SCORES

_KINDS = {'hardest': ('Hardest', 'the lowest probabilities of the label'),
          'confused': ('Most confused', 'the surest clip of each of the most frequent confusions'),
          'clearest': ('Clearest', 'the surest right answers, of as many classes as there are')}


def robustness_section(contents):
    """The robustness sheet of a run, where one was made."""
    title = 'Robustness'
    # Before the import: what makes a sheet needs torch, a page without one does not.
    if not (contents.path / 'robustness.json').is_file():
        how = f'ser report {contents.path} --robustness does' if contents.kind == 'run' and \
            not contents.of_dimensions else 'that is done with single runs that tell classes apart'
        return Section(title, missing=f'Not measured; {how}.')
    from ser.reports.robustness import SAME_SCORE, SHEET, read_sheet

    sheet = read_sheet(contents.path)
    clean, facts, rows = sheet.rows[0].ua, sheet.facts, []
    whole = facts.get('clips') == facts.get('test_clips')
    if whole and not facts.get('changed_decisions') and abs(clean - contents.metrics['ua']) > SAME_SCORE:
        return Section(title, missing=f'{SHEET} is of another test than {SCORES} (UA {percent(clean)} of the clips as '
                                      f"they are, {percent(contents.metrics['ua'])} there). Make it anew: ser report "
                                      f'{contents.path} --robustness.')
    for place, row in enumerate(sheet.rows):
        way = ('rows', place)
        low, high = row.ua_interval
        rows.append((row.condition, row.group, Value(percent(row.ua), row.ua, pointer(SHEET, *way, 'ua')),
                     f'[{100 * low:.1f}, {100 * high:.1f}]', interval(row.ua, low, high, clean),
                     f'{100 * (row.ua - clean):+.1f}' if place else '', Value(percent(row.wa), row.wa,
                                                                             pointer(SHEET, *way, 'wa')),
                     Value(f'{row.n:,}', row.n, pointer(SHEET, *way, 'n')), row.note))
    part = '' if whole else \
        f" {facts.get('clips')} of {facts.get('test_clips')} test clips were drawn by key."
    left = facts.get('left_out')
    return Section(title, (
        paragraph('The same clips, changed before the model hears them. The tick is the UA of the clips as they are; '
                  f'points are the difference to it.{part}'),
        table('UA under noise, codecs, filters, cuts and echoes',
              ('condition', 'group', 'UA', unseen('UA, interval'), unseen('UA, drawn'), 'points', 'WA', 'clips',
               'note'), rows, 'llrllrrrl'),
        paragraph(f"Intervals: {facts['interval_method']}.", class_='note') if facts.get('interval_method') else None,
        paragraph(f"Left out, as no other voices were there to babble: {', '.join(left)}.") if left else None))


def clips_section(contents, exemplars, problem=None):
    """Clips to listen to. exemplars: exemplars.Exemplar; problem: why there are none."""
    title = 'Clips to listen to'
    if not exemplars:
        return Section(title, missing=f'{problem or "None were asked for"}.')
    kinds = list(dict.fromkeys(one.kind for one in exemplars))
    sure = 'calibrated' if contents.calibration is not None and contents.calibration.why_not is None else 'uncalibrated'
    parts = [paragraph(f'Probabilities are {sure}. The pictures are what the model sees, or its features. These are '
                       'recordings of people: pass this page on as you may pass on the corpus.')]
    for kind in kinds:
        name, words = _KINDS.get(kind, (kind.capitalize(), None))
        parts += [element('h3', name), paragraph(f'{words[0].upper()}{words[1:]}.', class_='note') if words else None]
        parts.append(element('div', *[_clip(one) for one in exemplars if one.kind == kind], class_='clips'))
    return Section(title, tuple(parts))


def _clip(one):
    sound = element('audio', controls=True, preload='metadata', src=one.audio, aria_label=f'{one.key}: {one.label}')
    speaker = f', speaker {one.speaker}' if one.speaker else ''
    sure = Value(percent(one.confidence), one.confidence)
    said = [element('b', one.label), ', found with ', sure] if one.label == one.predicted else [
        element('b', one.label), ' (', Value(percent(one.true_probability), one.true_probability), ') taken for ',
        element('b', one.predicted), ' (', sure, ')']
    views = [element('figure', picture(f'{name} of {one.key}', source), element('figcaption', name))
             for name, source in dict(one.views).items()]
    return element('article', paragraph(*said), sound, element('div', *views, class_='views') if views else None,
                   paragraph(one.key, speaker, f', {one.seconds:.2f} s{_cut(one)}', class_='note'), class_='clip')


def _cut(one):
    """What is said of a clip that is longer than what can be heard of it."""
    from ser.reports.exemplars import MOST_SECONDS

    return f' (the first {MOST_SECONDS:g} s here)' if one.seconds > MOST_SECONDS else ''
