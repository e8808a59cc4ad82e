import json

from ser.evaluation.audit_words import audit_lines, audit_of


def run_with(folder, audit):
    (folder / 'data.json').write_text(json.dumps({'audit': audit} if audit else {}))
    return audit_of(folder)


def test_the_card_tells_leaks_and_warnings_and_no_notes(tmp_path):
    findings = [{'severity': severity, 'text': f'a {severity}'} for severity in ('leak', 'warning', 'note')]
    audit = run_with(tmp_path, {'verdict': 'LEAK: shared', 'findings': findings})
    assert audit == {'verdict': 'LEAK: shared', 'leaks': ['a leak'], 'warnings': ['a warning']}
    text = '\n'.join(audit_lines({'audit': audit}))
    assert text.startswith('## Audit') and 'looked through: LEAK: shared.' in text
    assert '- **leak: a leak**' in text and '- warning: a warning' in text and 'a note' not in text


def test_a_clean_split_has_one_sentence(tmp_path):
    lines = audit_lines({'audit': run_with(tmp_path, {'verdict': 'no leak found', 'findings': []})})
    assert lines[2] == 'Before training, the split was looked through: no leak found.' and len(lines) == 6


def test_a_run_from_before_has_none(tmp_path):
    assert run_with(tmp_path, None) is None and audit_lines({}) == []
