"""What the audit of a run's split found, as its model card tells it."""

from pathlib import Path

from ser.evaluation.reading import read_json


def audit_of(run):
    """`verdict`, `leaks` and `warnings` (texts) of a run's data.json; None for a run from before there was an audit."""
    found = read_json(Path(run) / 'data.json', dict).get('audit')
    if not isinstance(found, dict):
        return None
    of = {severity: [finding['text'] for finding in found.get('findings', ()) if finding['severity'] == severity]
          for severity in ('leak', 'warning')}
    return {'verdict': found.get('verdict', ''), 'leaks': of['leak'], 'warnings': of['warning']}


def audit_lines(metrics):
    """The section of a card as Markdown lines, none where there was no audit."""
    audit = metrics.get('audit')
    if not audit:
        return []
    lines = ['## Audit', '', f"Before training, the split was looked through: {audit['verdict']}."]
    for text in audit['leaks']:
        lines += ['', f'- **leak: {text}**']
    lines += ['', *(f'- warning: {text}' for text in audit['warnings'])] if audit['warnings'] else []
    return [*lines, '', '`ser audit --shards ...` with the same `--protocol` shows everything that was found.', '']
