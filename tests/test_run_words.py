"""A run in a few words, whatever is left of its files."""

import json

from ser.inference.run_words import score_of, system_of
from tests.tiny_run import tiny_run  # noqa: F401


def test_system_and_score_are_those_of_the_run(tiny_run):  # noqa: F811
    metrics = json.loads((tiny_run.path / 'test_metrics.json').read_text())
    assert system_of(tiny_run.path, 'x') == 'maxmvit, mel: mvitv2'
    score, notes = score_of(str(tiny_run.path))
    assert score.startswith('test (') and f'UA {100 * metrics["ua"]:.1f} %' in score and '\n' not in score
    assert score.endswith(f"; protocol: {metrics['protocol']}") and notes == metrics['notes']


def test_what_is_missing_or_broken_is_said(tmp_path):
    assert system_of(tmp_path, 'svm') == 'svm' and score_of(tmp_path) == (None, ['it was never tested'])
    (tmp_path / 'config.yaml').write_text('[]')
    (tmp_path / 'test_metrics.json').write_text('{}')
    assert system_of(tmp_path, 'svm') == 'svm'
    assert score_of(tmp_path) == (None, ['its test_metrics.json cannot be read'])
