import os
import signal

import pytest

from ser.training.interrupt import Interrupted, StopRequest


def test_the_first_signal_is_a_wish_and_the_second_ctrl_c_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop and stop.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    assert signal.getsignal(signal.SIGINT) == before


def test_interrupted_carries_the_signal():
    assert Interrupted(2).number == 2
