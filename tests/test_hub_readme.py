"""Scores of two READMEs against each other; of whatever somebody else wrote nothing is expected."""

import pytest

from ser.inference.hub_readme import differences, scores_of


def readme(**scores):
    metrics = ''.join(f'    - type: {name}\n      value: {value}\n' for name, value in scores.items())
    return f'---\nmodel-index:\n- name: x\n  results:\n  - metrics:\n{metrics}---\n\n# x\n'


def test_scores_that_differ_are_named():
    assert scores_of(readme(recall=0.5, f1=0.25)) == {'recall': 0.5, 'f1': 0.25}
    assert differences(readme(recall=0.5, f1=0.25, wer=1), readme(recall=0.75, f1=0.25)) == \
        'recall 0.5 (0.75 here), wer 1'
    assert differences(readme(recall=0.5), readme(recall=0.5, f1=1)) is None


@pytest.mark.parametrize('text', ['', '# mine', '---\n---\n', '---\nlicense: mit\n---\n', '---\n: [\n---\n',
                                  '---\nmodel-index: 3\n---\n', readme(recall='high')])
def test_a_readme_of_another_shape_states_none(text):
    assert scores_of(text) == {} and differences(text, readme(recall=0.5)) is None
