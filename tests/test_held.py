import contextlib
import subprocess
import sys

import pytest

from ser.errors import SerError
from ser.training.held import Held


@contextlib.contextmanager
def another(folder):
    """Another process that holds a folder meanwhile."""
    hold = ('import sys\nfrom ser.training.held import Held\n'
            'with Held(sys.argv[1]):\n    print(flush=True)\n    sys.stdin.read()')
    with subprocess.Popen([sys.executable, '-c', hold, str(folder)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_one_process_at_a_time_and_none_after_a_kill(tmp_path):
    folder = tmp_path / 'deep' / 'folder'
    with another(folder) as process:
        with pytest.raises(SerError, match='folder: another process is writing there. Wait for it'), Held(folder):
            pass
        process.kill()
        process.wait()
        for _ in range(2):
            with Held(folder):
                pass
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match=r'cannot be made: .* Choose another --out'), Held(tmp_path / 'file'):
        pass
