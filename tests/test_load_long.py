"""Two hundred epochs over five hundred clips: memory, open files and speed at the end are those of the beginning."""

import json
import os
import statistics
import subprocess
import sys

import pytest

from tests.driven import ROOT
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

EPOCHS = int(os.environ.get('SER_LOAD_EPOCHS', 200))
PARTS = 10


def measured(tmp_path):
    """A row of numbers for each epoch."""
    make_shards(tmp_path / 'shards', n_speakers=16, clips_per=8, seconds=0.3, shard_sizes=(100, 7, 60))
    with open(tmp_path / 'log', 'w') as log:
        subprocess.run([sys.executable, ROOT / 'tests' / 'load_probe.py', tmp_path / 'shards', tmp_path / 'run',
                        tmp_path / 'report', *ASSIGNMENTS, f'training.epochs={EPOCHS}', 'training.patience=null',
                        'training.batch_size=16', 'data.workers=2', 'data.audit=quick'],
                       check=True, cwd=ROOT, stdout=log, stderr=log,
                       env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    return [json.loads(line) for line in (tmp_path / 'report').read_text().splitlines()]


def table(found):
    """Medians of each tenth of the epochs."""
    names = ('megabytes', 'files', 'processes', 'clips_per_second')
    rows = []
    for part in range(PARTS):
        of_part = found[part * len(found) // PARTS:(part + 1) * len(found) // PARTS]
        cpu = (of_part[-1]['cpu'] - of_part[0]['cpu']) / sum(row['clips'] for row in of_part[1:])
        rows.append({'epochs': f'{of_part[0]["epoch"]}-{of_part[-1]["epoch"]}', 'cpu_ms_per_clip': 1000 * cpu,
                     **{name: statistics.median(row[name] for row in of_part) for name in names}})
    return rows


@pytest.mark.slow
def test_memory_files_and_speed_stay_what_they_were(tmp_path):
    rows = table(measured(tmp_path))
    print(*rows[0], sep='\t')
    for row in rows:
        print(*(f'{value:.1f}' if isinstance(value, float) else value for value in row.values()), sep='\t')
    # The first tenth fills caches.
    first, last = rows[1], rows[-1]
    assert last['files'] == first['files'] and last['processes'] == first['processes']
    # It falls where other processes come to share pages with these.
    assert last['megabytes'] / first['megabytes'] < 1.02
    # Clips a second are those of whatever else the machine does; what a clip costs is not.
    early, late = (statistics.median(row['cpu_ms_per_clip'] for row in part) for part in (rows[1:4], rows[-3:]))
    assert late / early < 1.05
