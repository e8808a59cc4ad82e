"""A run's model card as a hub shows it: front matter for machines, and the text for somebody who has only that page."""

import re
import shlex

import yaml

from ser.evaluation.dimension_words import of_dimensions
from ser.evaluation.tables import percent_with_interval

_TABLE_ROW = re.compile(r'^\| (?P<files>[^|]+) \| [^|]* \|$')


def front_matter(metrics, kind, name, licence):
    """The YAML block that a model hub reads, between lines of three dashes.

    metrics: a test_metrics.json dict with `origin`. kind: model.kind. name: the model's. licence: an identifier of the
    hub's list, or 'other'.
    """
    corpora = [corpus for corpus in metrics['origin']['corpora'] if corpus['name']]
    languages = list(dict.fromkeys(corpus['language'] for corpus in corpora if corpus['language']))
    facts = {'license': licence, **({'license_name': 'unstated'} if licence == 'other' else {}),
             **({'language': languages} if languages else {}),
             **({'datasets': [corpus['name'] for corpus in corpora]} if corpora else {}),
             'tags': ['speech-emotion-recognition', 'audio-classification', 'serstream', kind],
             'metrics': ['ccc'] if of_dimensions(metrics) else ['recall', 'accuracy', 'f1'],
             **({} if of_dimensions(metrics) else {'pipeline_tag': 'audio-classification'}),
             'model-index': [{'name': name, 'results': [_result(metrics, corpora)]}]}
    return f'---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)}---\n'


def _result(metrics, corpora):
    tested = [corpus['name'] for corpus in corpora if corpus['clips']['test']]
    if of_dimensions(metrics):
        values = [('ccc', f"mean CCC ({metrics['interval_method']})", metrics['mean_ccc'])]
    else:
        values = [('recall', f"UA, mean recall: {percent_with_interval(metrics['ua'], metrics['ua_interval'])}",
                   metrics['ua']),
                  ('accuracy', f"WA, accuracy: {percent_with_interval(metrics['wa'], metrics['wa_interval'])}",
                   metrics['wa']), ('f1', 'macro-F1', metrics['macro_f1'])]
    return {'task': {'type': 'audio-classification', 'name': 'speech emotion recognition'},
            'dataset': {'type': tested[0] if tested else 'unnamed',
                        'name': f"{', '.join(tested) or 'unnamed'}, protocol {metrics['protocol']}"},
            'metrics': [{'type': kind, 'name': name, 'value': round(value, 4)} for kind, name, value in values]}


def hub_text(card, run_name, repository, held):
    """A card's text for a page of its own. card: README.md as the run has it. held: names of the files beside it.

    Only files that are there are listed, shown and used; how to fetch them comes first.
    """
    _, _, rest = card.partition('\n')
    use = ['## Use', '', "With serstream's extra [hub], fetch it:", '',
           f'    ser pull {repository} {shlex.quote(run_name)}', '']
    lines = [f"# {repository.partition('/')[2]}", *rest.splitlines()]
    place = lines.index('## Use')
    lines[place:place + 2] = use
    if 'predictions.csv' not in held:
        lines = _without_evaluate(lines)
    kept, inside = [], False
    for line in lines:
        inside = line == '## Files' or (inside and not line.startswith('## '))
        row = _TABLE_ROW.match(line) if inside else None
        picture = re.fullmatch(r'!\[[^]]*\]\(([^)]+)\)', line)
        if picture and picture[1] not in held:
            continue
        if row and row['files'] not in ('file', '---'):
            names = [name for name in row['files'].split(', ') if name in held]
            if not names:
                continue
            line = line.replace(row['files'], ', '.join(names), 1)
        kept.append(line)
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(kept)).strip() + '\n'


def _without_evaluate(lines):
    """Without what goes with predictions: `ser evaluate`, its command and the empty lines around."""
    start = next((place for place, line in enumerate(lines) if line.startswith('`ser evaluate` recomputes')), None)
    return lines if start is None else lines[:start] + lines[start + 4:]
