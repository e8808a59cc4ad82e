import pytest
import torch

from ser.config.augment import AugmentConfig, MaskSpecAugment
from ser.config.features import FeaturesConfig, ImageConfig
from ser.features.augment import draw_spec_augment
from ser.features.draw import Draw
from ser.features.frontend import FrontEnd
from ser.features.graphs import EAGER_FIRST, MOST_GRAPHS, GraphedFrontEnd
from ser.features.waveform_augment import AudioDraw


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
    assert graphed(waveforms, lengths, Draw()) == graphed(*batch(100, clips=3)) == 'eager'
    assert graphed(waveforms.float(), lengths) == 'eager' and graphed(waveforms, lengths) == 'replayed'


def test_batches_whose_audio_is_augmented_run_eagerly():
    graphed = GraphedFrontEnd(eager, Recorder)
    drawn = Draw(audio=AudioDraw(()))
    assert {graphed(*batch(100), drawn) for _ in range(EAGER_FIRST + 3)} == {'eager'}
    assert Recorder.made == [] and graphed.eager == EAGER_FIRST + 3


def test_no_more_graphs_than_the_memory_is_meant_for():
    graphed = GraphedFrontEnd(eager, Recorder)
    for samples in range(100, 100 + 2 * MOST_GRAPHS):
        for _ in range(EAGER_FIRST + 1):
            graphed(*batch(samples))
    assert len(graphed.graphs) == MOST_GRAPHS and graphed.replayed == MOST_GRAPHS


def test_a_failed_capture_is_said_once_and_that_shape_runs_eagerly(caplog):
    def failing(front_end, waveforms, lengths, draw):
        if waveforms.shape[1] == 200:
            return Recorder(front_end, waveforms, lengths, draw)
        try:
            raise RuntimeError('operation not permitted\nwhen stream is capturing')
        finally:
            raise RuntimeError('capture invalidated')

    graphed = GraphedFrontEnd(eager, failing)
    assert {graphed(*batch(100)) for _ in range(9)} == {'eager'} and graphed.eager == 9
    assert caplog.text.count('no CUDA graph of the front end for batches of 2 x 100 samples') == 1
    assert 'operation not permitted when stream is capturing' in caplog.text
    assert [graphed(*batch(200)) for _ in range(EAGER_FIRST + 1)][-1] == 'replayed'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_a_replayed_graph_gives_the_images_of_the_front_end():
    masks = MaskSpecAugment()
    front = FrontEnd(FeaturesConfig(image=ImageConfig(size=64)), AugmentConfig(spec_augment=masks),
                     {'cqt': 'cqt', 'mel': 'mel'}, 44100)
    front, graphed = front.cuda(), GraphedFrontEnd(front.cuda())
    for step in range(EAGER_FIRST + 3):
        waveforms = torch.randint(-9000, 9000, (4, 40000), dtype=torch.int16, device='cuda')
        lengths = torch.randint(5000, 40000, (4,), device='cuda')
        draw = Draw(draw_spec_augment(masks, ('cqt', 'mel'), 0, step, [1, 2, 3, 4])).to('cuda')
        images = graphed(waveforms, lengths, draw)
        for view, expected in front(waveforms, lengths, draw).items():
            torch.testing.assert_close(images[view], expected, atol=1e-4, rtol=0)
    assert graphed.replayed == 3
