import hashlib
import time

import pytest

from ser.errors import SerError
from ser.files import sha256_of
from ser.shards import remote
from ser.shards.index import build_index
from ser.shards.plan import EvaluationPlan, TrainPlan
from ser.shards.reader import SpanReader
from ser.shards.remote_prefetch import SPARE_SHARDS, Idle, Schedule, _gb, make_prefetch
from ser.shards.specs import TrainSpecs
from ser.shards.stream import EvaluationStream
from tests.remote_sets import BATCH, build_set, data_of, epochs_of, gb_of, held, total
from tests.shard_server import serving

pytest.importorskip('aiohttp')
WINDOW = 2


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build_set(tmp_path_factory.mktemp('built'))


@pytest.fixture
def site(built, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    monkeypatch.setattr(remote, 'STALL_SECONDS', 0.5)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    with serving() as (store, address):
        store.put(built)
        yield store, f'{address}/set/'


def windowed(address, folder, built):
    """A config whose cache holds two windows and the spare shards, and no byte more."""
    local = build_index(data_of(built))
    return data_of(address, folder, shuffle_window_shards=WINDOW, prefetch=1,
                   cache_gb=gb_of(local, 2 * WINDOW + SPARE_SHARDS))


@pytest.mark.parametrize('workers', [0, 2])
def test_an_epoch_is_the_local_one_and_fetches_the_set_once(site, built, tmp_path, workers):
    store, address = site
    local = data_of(built, shuffle_window_shards=WINDOW)
    data = windowed(address, tmp_path / 'cache', built)
    sizes = []
    # Slow enough for a reader to be ahead of the prefetch, were it not in the plan's order.
    found = epochs_of(data, workers, watch=lambda: (sizes.append(held(tmp_path / 'cache')), time.sleep(0.02)))
    assert found == epochs_of(local)
    assert store.tar_bytes() <= 1.05 * 2 * total(build_index(local))
    assert max(sizes) <= round(data.cache_gb * 1e9)


def test_ranks_of_a_machine_share_the_downloads(site, built, tmp_path):
    _, address = site
    data = windowed(address, tmp_path / 'cache', built)
    local = data_of(built, shuffle_window_shards=WINDOW)
    for rank in (0, 1):
        assert epochs_of(data, epochs=1, rank=rank, world=2) == epochs_of(local, epochs=1, rank=rank, world=2)


@pytest.mark.parametrize('ranges', [True, False])
def test_faults_change_nothing(site, built, tmp_path, ranges):
    store, address = site
    store.ranges = ranges
    store.faults = [503, None, ('cut', 10_000), ('slow', 1, 3000), ('wrong',), 500, ('cut', 0), 429, None, ('cut', 1)]
    found = epochs_of(windowed(address, tmp_path / 'cache', built), 2)
    assert found == epochs_of(data_of(built, shuffle_window_shards=WINDOW)) and not store.faults


def test_a_shard_that_never_comes_stops_the_stream_with_its_address(site, built, tmp_path):
    store, address = site
    data = windowed(address, tmp_path / 'cache', built)
    index = build_index(data)
    name = '/set/csv-00005.tar'
    store.files[name] = bytes(len(store.files[name]))
    with pytest.raises(SerError, match=r'http://.*/set/csv-00005.tar: its sha256 is not'):
        epochs_of(data, 1, index=index)


def test_evaluation_reads_every_clip_once_through_a_cache_of_one_shard(site, built, tmp_path):
    _, address = site
    local = build_index(data_of(built))
    data = data_of(address, tmp_path / 'cache', cache_gb=gb_of(local, 1))
    index = build_index(data)
    plan = EvaluationPlan(range(len(index.rows)), 8)
    with EvaluationStream(index, plan, data, ('happy', 'sad'), workers=2) as stream:
        ids = [int(i) for batch in stream for i in batch.ids]
    assert ids == list(range(48)) and held(tmp_path / 'cache') <= round(data.cache_gb * 1e9)


def test_a_reader_lets_go_of_what_the_cache_gave_up(site, built, tmp_path):
    _, address = site
    local = build_index(data_of(built))
    index = build_index(data_of(address, tmp_path / 'cache', cache_gb=gb_of(local, 1)))
    ours, theirs = SpanReader(local.shards), SpanReader(index.shards)
    for row, other in zip(local.rows, index.rows, strict=True):
        assert theirs.read(other.shard, other.offset, other.size) == ours.read(row.shard, row.offset, row.size)
    assert len(ours._open) == 12 and len(theirs._open) == 1
    path = index.shards[3].local_path()
    assert path.startswith(str(tmp_path)) and sha256_of(path) == index.shards[3].sha256
    assert local.shards[3].local_path() == local.shards[3].path


def test_a_cache_too_small_for_two_windows_is_refused_with_the_size(site, built, tmp_path):
    _, address = site
    data = windowed(address, tmp_path / 'cache', built)
    small = data.model_copy(update={'cache_gb': data.cache_gb - 1e-8})
    with pytest.raises(SerError, match='too small for 2 windows of 2 remote shards') as error:
        epochs_of(small)
    asked = float(str(error.value).partition('Set data.cache_gb to ')[2].split()[0])
    epochs_of(data.model_copy(update={'cache_gb': asked}), epochs=1)
    whole = data.model_copy(update={'shuffle_window_shards': 'all'})
    with pytest.raises(SerError, match='the cache must hold all.*data.shuffle_window_shards=2$'):
        epochs_of(whole)
    far = data.model_copy(update={'prefetch': 4})
    with pytest.raises(SerError, match='5 windows of 2 remote shards .readers'):
        epochs_of(far, 2)


def test_a_run_is_refused_where_others_have_reserved_the_room(site, built, tmp_path):
    _, address = site
    data = windowed(address, tmp_path / 'cache', built)
    index = build_index(data)
    said = pytest.raises(SerError, match='other runs at work need 100.0 kB')
    with index.shards[0].store.lease('another', 100_000), said:
        epochs_of(data, index=index)


def test_the_schedule_is_that_of_the_plan(built):
    index = build_index(data_of(built))
    shard_of = [row.shard for row in index.rows]
    plan = TrainPlan(range(len(index.rows)), shard_of, WINDOW, 0, BATCH, 3)
    for start, accumulate in (((0, 0), 1), ((1, 5), 2)):
        specs = TrainSpecs(plan, start, accumulate)
        schedule = Schedule(specs, 0)
        for number in range(len(specs)):
            _, ids, _ = specs[number]
            needed = schedule.needed(number)
            assert {shard_of[row] for row in ids} <= set(needed) and len(needed) <= 2 * WINDOW
        assert schedule.needed(len(specs)) == []
        far = Schedule(specs, 7)
        assert all({shard_of[row] for later in range(number, min(number + 8, len(specs))) for row in specs[later][1]}
                   <= set(far.needed(number)) for number in range(len(specs)))
        assert max(len(far.needed(number)) for number in range(len(specs))) <= WINDOW * far.most_windows()
    windows = plan.windows(1)
    assert sorted(shard for _, held in windows for shard in held) == sorted(set(shard_of))
    assert [start for start, _ in windows] == list(range(0, 48, WINDOW * BATCH))


def test_local_shards_need_no_prefetch(built):
    index = build_index(data_of(built))
    plan = TrainPlan(range(len(index.rows)), [row.shard for row in index.rows], 'all', 0, BATCH, 1)
    idle = make_prefetch(index, TrainSpecs(plan, (0, 0)), 0)
    assert isinstance(idle, Idle) and idle.start() is idle.awaited(1) is idle.stop() is None


def test_sizes_are_rounded_up():
    assert [_gb(size) for size in (1, 1234, 1_234_567, 50 * 10**9)] == ['0.000000001', '0.00000124', '0.00124', '50']


def test_names_of_shards_never_decide(built, site, tmp_path):
    store, address = site
    digests = {hashlib.sha256(data).hexdigest() for path, data in store.files.items() if path.endswith('.tar')}
    epochs_of(data_of(address, tmp_path / 'cache', cache_gb=1), epochs=1)
    assert {path.stem for path in (tmp_path / 'cache').glob('*.tar')} >= digests
