"""The front end's cases: every one runs, and a rival's images are the ones it is compared for."""

from contextlib import ExitStack

import pytest
import torch

from ser.benchmarks.clips import made_batch
from ser.benchmarks.front_end_cases import front_end_cases
from ser.benchmarks.parts import without_work
from ser.benchmarks.stock import stock_call
from ser.benchmarks.timing import measure
from ser.features.frontend import FrontEnd
from tests.tiny_benchmark import crnn_config, no_long_warm_up, tiny_config, tiny_options  # noqa: F401

DEVICE_RIVALS = ('nnaudio-1992', 'nnaudio-2010', 'torchaudio', 'bare-ffts')
STAGES = ('copy', 'cqt', 'mel', 'level_image', 'spec_augment', 'front_end')


def names(cases):
    return {(case.stage, case.implementation) for case in cases}


def test_which_cases_there_are():
    everything = ('librosa', *DEVICE_RIVALS, 'cached', 'webdataset')
    cases = names(front_end_cases(tiny_options(STAGES, everything)))
    libraries = {'librosa', 'librosa-parallel'}
    assert cases == {
        *(('cqt', name) for name in {'ser', 'nnaudio-1992', 'nnaudio-2010', 'bare-ffts'} | libraries),
        *(('mel', name) for name in {'ser', 'torchaudio', 'bare-ffts'} | libraries),
        *(('front_end', name) for name in {'ser', *DEVICE_RIVALS} | libraries),
        ('copy', 'ser'), ('level_image', 'ser'), ('spec_augment', 'ser')}
    assert names(front_end_cases(tiny_options(['mel']))) == {('mel', 'ser')}
    assert [case.batch for case in front_end_cases(tiny_options(['mel'], batches=(2, 8)))] == [2, 8]


def test_stages_without_work_under_a_config():
    assert without_work(tiny_config()) == {}
    reasons = without_work(tiny_config('model.views.cqt=null', 'augment.spec_augment={kind: none}'))
    assert reasons == {'cqt': 'the model sees mel alone', 'spec_augment': "augment.spec_augment.kind is 'none'"}


def test_images_other_than_cqt_and_mel_have_no_rivals():
    options = tiny_options(['front_end'], ('librosa', *DEVICE_RIVALS), ['model.views.cqt=null'])
    assert names(front_end_cases(options)) == {('front_end', 'ser'), ('front_end', 'bare-ffts')}


@pytest.mark.slow
def test_a_model_of_sequences_has_the_cases_that_need_no_image():
    reasons = without_work(crnn_config())
    assert reasons == {'cqt': 'the model sees mel and chroma alone', **dict.fromkeys(
        ('level_image', 'spec_augment'), 'model.kind crnn sees no images; front_end is the whole of what it sees')}
    options = tiny_options(['mel', 'front_end'], (*DEVICE_RIVALS, 'librosa'), config=crnn_config())
    cases = front_end_cases(options)
    assert names(cases) == {('mel', name) for name in ('ser', 'torchaudio', 'bare-ffts', 'librosa', 'librosa-parallel')
                            } | {('front_end', 'ser'), ('front_end', 'bare-ffts')}
    rows = measure([case for case in cases if 'librosa' not in case.implementation], 1, options.device, lambda _: None)
    assert [row.error for row in rows] == [None] * 5
    case = next(case for case in cases if case.stage == 'front_end')
    with ExitStack() as stack:
        views = case.start(stack)()
    assert {name: tuple(view.shape) for name, view in views.items()} == {
        'mel': (4, 16, 26), 'chroma': (4, 12, 26), 'frames': (4,)}


@pytest.mark.slow
def test_every_case_runs_and_ours_say_their_launches_and_work():
    options = tiny_options(STAGES, DEVICE_RIVALS)
    rows = measure(front_end_cases(options), 1, options.device, lambda line: None)
    assert [row.error for row in rows] == [None] * len(rows)
    for row in rows:
        assert 0 < row.ms_per_clip < 1000 and row.clips == (32 if row.stage == 'copy' else 4)
        if row.implementation == 'ser' and row.stage != 'copy':
            assert row.extra['launches'] > 3 and row.extra['bytes'] > 1000 and row.extra['flops'] >= 0
        else:
            assert row.extra == {}


@pytest.mark.parametrize(('rival', 'mean'), [('nnaudio-1992', 2e-3), ('nnaudio-2010', 0.03), ('torchaudio', 1e-3)])
def test_a_rivals_images_are_ours(rival, mean):
    options = tiny_options(['front_end'], [rival], seconds=1.0)
    config = tiny_config('features.image.frames=all')
    batch = made_batch(4, 1.0, 16000)
    with torch.no_grad():
        theirs = stock_call(options, 4, 'front_end', rival)()
        ours = FrontEnd(config.features, config.augment, {'cqt': 'cqt', 'mel': 'mel'}, 16000)(
            batch.waveforms, batch.lengths)
    for view in ('cqt', 'mel'):
        assert (theirs[view] - ours[view]).abs().mean() < mean, view


def test_ours_is_the_models_own_front_end():
    options = tiny_options(['front_end', 'level_image'])
    batch = made_batch(4, 0.5, 16000)
    config = options.config
    with ExitStack() as stack, torch.no_grad():
        whole, level = (case.start(stack)() for case in sorted(front_end_cases(options), key=lambda case: case.stage))
        expected = FrontEnd(config.features, config.augment, {'mel': 'mel', 'cqt': 'cqt'}, 16000)(
            batch.waveforms, batch.lengths)
    for view, image in expected.items():
        assert torch.equal(whole[view], image) and torch.equal(level[view], image)


@pytest.mark.slow
def test_a_bin_above_nyquist_stops_the_cqt_and_not_the_mel():
    options = tiny_options(['cqt', 'mel', 'front_end'], ['librosa', 'nnaudio-1992'], ['features.cqt.bins=200'])
    cases = [case for case in front_end_cases(options) if case.implementation != 'librosa-parallel']
    rows = {(row.stage, row.implementation): row.error
            for row in measure(cases, 1, options.device, lambda line: None)}
    assert rows['mel', 'ser'] is None and rows['mel', 'librosa'] is None
    for failed in (('cqt', 'ser'), ('front_end', 'ser')):
        assert rows[failed].startswith('features.cqt: ') and 'half the sample rate' in rows[failed]
    assert 'Nyquist' in rows['cqt', 'librosa'] and rows['cqt', 'nnaudio-1992'].startswith('features.cqt: ')
