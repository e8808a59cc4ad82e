"""The pictures of a calibration can be drawn, also where there is little to draw."""

import numpy as np
import pytest

from ser.evaluation.calibration_metrics import Confidences
from ser.evaluation.calibration_plots import plot_reliability, plot_risk


def drawn(tmp_path, confidence, correct, threshold, risk=0.25, coverage=0.5, found=0.2):
    zeros = np.zeros(len(confidence))
    part = Confidences(np.array(confidence), np.array(correct, dtype=bool), zeros, zeros)
    error = {'ece': 0.1, 'ece_interval': [0.05, 0.2]}
    facts = {'temperature': 1.2, 'threshold': threshold, 'risk': risk,
             'test': {'clips': len(confidence), 'before': error, 'after': error, 'coverage': coverage, 'risk': found,
                      'risk_of_all': 0.4}}
    plot_reliability(part, part, facts, tmp_path / 'reliability.png')
    plot_risk(part, part, facts, tmp_path / 'risk.png')
    return [(tmp_path / name).read_bytes() for name in ('reliability.png', 'risk.png')]


@pytest.mark.parametrize('case', [
    (np.linspace(0.2, 1, 90), np.arange(90) % 3 > 0, 0.6),
    ([0.25, 0.25], [True, False], None, None),
    ([1.0], [False], 0.5, 0.25, 0.0, None),
])
def test_both_pictures_are_whole(tmp_path, case):
    assert all(picture.startswith(b'\x89PNG') and len(picture) > 5000 for picture in drawn(tmp_path, *case))
