import subprocess
import sys
import time

from ser import train

CHILD = """
import os, sys, time
from ser.shards.parent import end_with_parent
pid = os.fork()
if pid:
    print(pid, flush=True)
    time.sleep(60)
end_with_parent('the parent is gone\\n')
time.sleep(60)
"""


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_a_process_ends_with_its_parent_and_says_why():
    with subprocess.Popen([sys.executable, '-c', CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(1)
        assert alive(pid)
        parent.kill()
        killed = time.monotonic()
        parent.wait(timeout=30)
        while alive(pid):
            assert time.monotonic() - killed < 5
            time.sleep(0.05)
        assert parent.stderr.read() == 'the parent is gone\n'


def test_only_ranks_end_with_their_parent_and_no_training_that_a_person_started(tmp_path, monkeypatch):
    watched = []
    monkeypatch.setattr(train, 'end_with_parent', watched.append)
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    # Under nohup or setsid it outlives the shell.
    assert train.main(['--resume', str(tmp_path)]) == 2 and watched == []
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'a job')
    assert train.main(['--resume', str(tmp_path)]) == 2 and len(watched) == 1
