import pytest
import torch

from ser.config.features import FeaturesConfig, ImageConfig
from ser.config.schema import Config
from ser.features.frontend import FrontEnd
from ser.features.graphs import EAGER_FIRST, MOST_GRAPHS, GraphedFrontEnd


class Recorder:
    """Stands for a CUDA graph: remembers what it was captured for and says so when replayed."""

    made = []

    def __init__(self, front_end, waveforms, lengths, draw):
        self.shape = tuple(waveforms.shape)
        Recorder.made.append((self.shape, draw is not None))

    def __call__(self, waveforms, lengths, draw):
        assert tuple(waveforms.shape) == self.shape
        return 'replayed'


@pytest.fixture(autouse=True)
def no_recordings():
    Recorder.made = []


def eager(waveforms, lengths, draw=None):
    return 'eager'


def batch(samples, clips=2):
    return torch.zeros(clips, samples, dtype=torch.int16), torch.full((clips,), samples)


def test_frequent_shapes_are_captured_once_and_the_rest_is_eager_and_counted():
    graphed = GraphedFrontEnd(eager, Recorder)
    said = [graphed(*batch(samples)) for samples in (100, 100, 200, 100, 100, 100, 200)]
    assert said == ['eager'] * 4 + ['replayed'] * 2 + ['eager']
    assert Recorder.made == [((2, 100), False)] and (graphed.replayed, graphed.eager) == (2, 5)
    assert graphed.line() == 'front end: 2 batches by 1 CUDA graphs, 5 eagerly'


def test_masks_another_batch_size_and_another_type_are_other_shapes():
    graphed = GraphedFrontEnd(eager, Recorder)
    waveforms, lengths = batch(100)
    for _ in range(EAGER_FIRST):
        graphed(waveforms, lengths)
    assert graphed(waveforms, lengths, object()) == graphed(*batch(100, clips=3)) == 'eager'
    assert graphed(waveforms.float(), lengths) == 'eager' and graphed(waveforms, lengths) == 'replayed'


def test_no_more_graphs_than_the_memory_is_meant_for():
    graphed = GraphedFrontEnd(eager, Recorder)
    for samples in range(100, 100 + 2 * MOST_GRAPHS):
        for _ in range(EAGER_FIRST + 1):
            graphed(*batch(samples))
    assert len(graphed.graphs) == MOST_GRAPHS and graphed.replayed == MOST_GRAPHS


def test_a_failed_capture_is_said_once_and_everything_runs_eagerly(caplog):
    def failing(*_):
        raise RuntimeError('operation not permitted\nwhen stream is capturing')

    graphed = GraphedFrontEnd(eager, failing)
    assert {graphed(*batch(100)) for _ in range(9)} == {'eager'} and graphed.eager == 9
    assert caplog.text.count('no CUDA graph of the front end') == 1
    assert 'operation not permitted when stream is capturing' in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_a_replayed_graph_gives_the_images_of_the_front_end():
    front = FrontEnd(FeaturesConfig(image=ImageConfig(size=64)), Config().augment, {'cqt': 'cqt', 'mel': 'mel'}, 44100)
    front, graphed = front.cuda(), GraphedFrontEnd(front.cuda())
    for _ in range(EAGER_FIRST + 3):
        waveforms = torch.randint(-9000, 9000, (4, 40000), dtype=torch.int16, device='cuda')
        lengths = torch.randint(5000, 40000, (4,), device='cuda')
        images = graphed(waveforms, lengths)
        for view, expected in front(waveforms, lengths).items():
            torch.testing.assert_close(images[view], expected, atol=1e-4, rtol=0)
    assert graphed.replayed == 3
