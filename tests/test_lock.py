import subprocess
import sys

import pytest

from ser.corpora.lock import locked
from ser.errors import SerError

HOLD = ("import sys; from pathlib import Path; from ser.corpora.lock import locked\n"
        "with locked(Path(sys.argv[1]), 'held'): print('have it', flush=True); sys.stdin.read()")


def test_one_holder_at_a_time(tmp_path):
    with locked(tmp_path, 'busy'):
        with pytest.raises(SerError, match='^busy$'), locked(tmp_path, 'busy'):
            pass
        with locked(tmp_path.parent, 'other'):
            pass
    with locked(tmp_path, 'busy'):
        pass


def test_a_killed_holder_lets_go(tmp_path):
    with subprocess.Popen([sys.executable, '-c', HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == 'have it\n'
        with pytest.raises(SerError, match='^busy$'), locked(tmp_path, 'busy'):
            pass
        process.kill()
        process.wait(timeout=30)
        with locked(tmp_path, 'busy'):
            pass


def test_a_holder_that_lets_go_in_time_is_waited_for(tmp_path):
    with subprocess.Popen([sys.executable, '-c', HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == 'have it\n'
        with pytest.raises(SerError, match='^busy$'), locked(tmp_path, 'busy', 0.1):
            pass
        process.stdin.close()
        with locked(tmp_path, 'busy', 30):
            pass
