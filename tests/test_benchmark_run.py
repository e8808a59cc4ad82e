"""Which cases run, on which shards, and what becomes of their rows."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from ser.benchmarks.clips import make_shards
from ser.benchmarks.environment import cpu_model, environment, environment_lines, title
from ser.benchmarks.names import RIVALS, STAGES, chosen
from ser.benchmarks.result import Result, check_targets
from ser.benchmarks.run import add_percent, build_options, cases_of, measure_all, with_shards, without_weights
from ser.config.load import load_config
from ser.errors import SerError
from tests.test_benchmark_table import broken, row
from tests.tiny_benchmark import crnn_config, no_long_warm_up, tiny_config, tiny_options  # noqa: F401


def quiet(_):
    pass


def refused(**given):
    with pytest.raises(SerError) as caught:
        tiny_options(**given)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_names_are_put_in_order_and_unknown_ones_refused():
    assert chosen('--stages', ['mel', 'cqt', 'mel'], STAGES) == ('cqt', 'mel')
    with pytest.raises(SerError) as caught:
        chosen('--against', ['librossa'], RIVALS)
    assert str(caught.value) == (
        "--against: unknown 'librossa'. Did you mean 'librosa'? Allowed: librosa, librosa-parallel, nnaudio-1992, "
        'nnaudio-2010, torchaudio, cached, webdataset, bare-ffts')


def test_librosa_means_both_ways_of_running_it():
    assert tiny_options(against=['librosa']).against == ('librosa', 'librosa-parallel')
    assert tiny_options(against=['librosa-parallel']).against == ('librosa-parallel',)


def test_all_stages_that_the_config_has():
    assert tiny_options().stages == STAGES
    without = ['model.views.cqt=null', 'augment.spec_augment={kind: none}']
    assert set(STAGES) - set(tiny_options(assignments=without).stages) == {'cqt', 'spec_augment'}
    assert refused(stages=['cqt'], assignments=without) == (
        '--stages cqt: this config has no such work: the model sees mel alone')


def test_a_model_of_sequences_has_all_stages_but_those_of_images():
    assert set(STAGES) - set(tiny_options(config=crnn_config()).stages) == {'cqt', 'level_image', 'spec_augment'}
    assert refused(stages=['level_image'], config=crnn_config()) == (
        '--stages level_image: this config has no such work: model.kind crnn sees no images; front_end is the whole '
        'of what it sees')
    assert without_weights(crnn_config()) == crnn_config()


@pytest.mark.slow
def test_the_network_of_sequences_is_measured_as_any_other():
    forward, step, cached = measure_all(tiny_options(['model_forward', 'train_step'], ['cached'],
                                                     config=crnn_config('features.mel.trainable=true')), quiet)
    assert forward.error is step.error is cached.error is None
    assert step.extra['flops'] == 3 * forward.extra['flops'] > 0 and step.extra['percent_of_step'] == 100.0


@pytest.mark.parametrize(('given', 'words'), [
    ({'stages': ['mell']}, "--stages: unknown 'mell'. Did you mean 'mel'?"),
    ({'against': ['cache']}, "--against: unknown 'cache'. Did you mean 'cached'?"),
    ({'batches': (4, 0)}, '--batch 0: at least 1 is wanted'),
    ({'repeats': 0}, '--repeats 0: at least 1 is wanted'),
    ({'seconds': 31.0}, '--seconds 31: more than 0 and at most data.max_seconds, 30, is wanted'),
    ({'seconds': 0.0}, '--seconds 0: more than 0'), ({'seconds': float('nan')}, '--seconds nan: more than 0'),
    ({'shards': ['gone.tar']}, 'gone.tar')])
def test_refusals_are_one_line(given, words):
    assert words in refused(**given)


def test_weights_of_backbones_are_off_and_the_rest_stays():
    config = load_config(('base',), ['model.views.cqt.backbone.weights=some.safetensors', 'model.views.mel=null'])
    assert config.model.views['cqt'].backbone.pretrained
    off = without_weights(config)
    assert not off.model.views['cqt'].backbone.pretrained and off.model.views['cqt'].backbone.weights is None
    assert off.model.views['cqt'].backbone.name == 'maxvit_base_tf_224' and off.model.views['mel'] is None
    assert off.features == config.features
    assert tiny_config() == without_weights(tiny_config())


def test_shards_are_made_where_a_stage_reads_them_and_deleted():
    said = []
    with ExitStack() as stack:
        assert with_shards(tiny_options(['cqt']), stack, said.append).shards == () and not said
        options = with_shards(tiny_options(['read'], batches=(2, 80), seconds=0.1), stack, said.append)
        folder, = options.shards
        assert options.shard_seconds == 0.1 and said == ['making shards of 320 clips']
        assert len(list(Path(folder).glob('*.tar'))) == 8
    assert not Path(folder).exists()


def test_given_shards_are_read_and_their_length_is_the_rows(tmp_path):
    make_shards(tmp_path, 10, 0.25, 16000)
    options = tiny_options(['read', 'train_from_shards'], shards=[str(tmp_path)])
    with ExitStack() as stack:
        options = with_shards(options, stack, quiet)
    assert options.shards == (str(tmp_path),) and options.shard_seconds == pytest.approx(0.25)
    assert {case.seconds for case in cases_of(options)} == {0.25}


def test_cases_go_batch_by_batch_in_the_order_of_stages_with_ser_first(tmp_path):
    make_shards(tmp_path, 10, 0.25, 16000)
    options = tiny_options(against=['torchaudio', 'cached', 'nnaudio-1992'], batches=(4, 2), shards=[str(tmp_path)])
    with ExitStack() as stack:
        cases = cases_of(with_shards(options, stack, quiet))
    places = [((4, 2).index(case.batch), STAGES.index(case.stage), ('ser', *RIVALS).index(case.implementation))
              for case in cases]
    assert places == sorted(places) and {case.stage for case in cases} == set(STAGES)


def test_percent_of_the_training_step():
    rows = [row(ms=1.0), row('train_step', ms=8.0), row('train_step', 'cached', ms=6.0), row(batch=64), broken()]
    add_percent(rows)
    assert [one.extra.get('percent_of_step') for one in rows] == [12.5, 100.0, 75.0, None, None]


@pytest.mark.slow
def test_rows_have_their_floor():
    rows = measure_all(tiny_options(['mel', 'train_step'], ['torchaudio']), quiet)
    mel, stock, step = rows
    assert 0 < mel.extra['fraction_of_floor'] < 1 and mel.extra['percent_of_step'] > 0
    assert 'floor_ms' not in stock.extra and step.extra['percent_of_step'] == 100.0


def test_what_the_environment_says(tmp_path):
    options = tiny_options(['cqt'])
    facts = environment(options, 'asked for', 'base a.b=1', ['--batch', '4', '--plot', 'a file.png'])
    assert facts['command'] == "benchmark --batch 4 --plot 'a file.png'" and facts['config'] == 'base a.b=1'
    assert facts['packages']['torch'] == torch.__version__.split('+')[0] and facts['packages']['librosa']
    assert facts['threads'] == torch.get_num_threads() and facts['gpu'] is None
    json.dumps(facts, allow_nan=False)
    lines = '\n'.join(environment_lines(facts))
    for words in (facts['cpu'], f"torch {facts['packages']['torch']}", 'asked for', 'load average', 'command: bench'):
        assert words in lines
    assert 'something was running here' in '\n'.join(environment_lines({**facts, 'load_average': 99.0}))
    assert title(facts).endswith('base a.b=1; 0.5 s clips')
    assert title({**facts, 'gpu': 'A card'}).startswith('A card; torch')
    (tmp_path / 'cpuinfo').write_text('processor : 0\nmodel name\t: A Processor @ 3 GHz\n')
    assert cpu_model(tmp_path / 'cpuinfo') == 'A Processor @ 3 GHz' and cpu_model(tmp_path / 'gone')


def test_json_of_a_result(tmp_path):
    result = Result({'torch': '2'}, [row(), broken()], [])
    assert result.failed and not Result({}, [row()], []).failed and Result({}, [], [{'error': 'x'}]).failed
    result.write(json=tmp_path / 'f.json')
    read = json.loads((tmp_path / 'f.json').read_text())
    assert read['environment'] == {'torch': '2'} and sorted(read) == ['environment', 'rows']
    assert read['rows'] == [row().as_json(), broken().as_json()]
    assert Result({}, [], [{'axis': 'batch', 'value': 1}]).as_json()['scale'] == [{'axis': 'batch', 'value': 1}]


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path):
    check_targets(tmp_path / 'f.json', tmp_path / 'f.png')
    check_targets()
    for option, given in (('--json', {'json': tmp_path / 'gone' / 'f.json'}), ('--json', {'json': tmp_path}),
                          ('--plot', {'plot': tmp_path / 'gone' / 'f.png'}), ('--plot', {'plot': 'f.gif'})):
        with pytest.raises(SerError, match=f'^{option} '):
            check_targets(**given)


def test_threads_of_the_config_are_the_options():
    options = build_options(tiny_config('run.threads=2'), torch.device('cpu'), batches=[4, 4], seconds=1,
                            stages=['cqt'], against=(), repeats=1)
    assert options.threads == 2 and options.batches == (4,) and isinstance(options.seconds, float)
