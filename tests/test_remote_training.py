import pytest

from ser.files import sha256_of
from ser.shards import remote
from ser.shards.index import build_index
from ser.train import main
from tests.remote_sets import build_set, data_of, gb_of, total
from tests.shard_server import serving
from tests.tiny import ASSIGNMENTS

pytest.importorskip('aiohttp')


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_training_from_a_server_with_faults_gives_the_weights_of_the_local_run(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    folder = build_set(tmp_path)
    index = build_index(data_of(folder))
    # Readers that work ahead are in several of these small windows at a time.
    room = gb_of(index, 12 if workers else 8)
    options = [*ASSIGNMENTS, 'training.epochs=2', 'data.shuffle_window_shards=2', f'data.workers={workers}',
               'data.prefetch=1']
    assert main(['--shards', str(folder), '--out', str(tmp_path / 'local'), '--set', *options]) == 0
    with serving() as (store, address):
        store.put(folder)
        store.faults = [503, None, ('cut', 9000), 500, None, ('wrong',), ('cut', 0)]
        assert main(['--shards', f'{address}/set/', '--remote', '--out', str(tmp_path / 'far'), '--set', *options,
                     f'data.cache={tmp_path / "cache"}', f'data.cache_gb={room:.9f}']) == 0
        assert not store.faults and store.tar_bytes() >= total(index)
    for name in ('best.safetensors', 'predictions.csv', 'split.csv', 'test_metrics.json'):
        assert sha256_of(tmp_path / 'far' / name) == sha256_of(tmp_path / 'local' / name), name
