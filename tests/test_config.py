"""The config: presets, merging, `kind`, errors in one line."""

import json

import pytest
import yaml

from ser.config.describe import commented_yaml, json_schema
from ser.config.load import load_config, load_resolved, to_yaml
from ser.config.messages import section_classes
from ser.config.presets import preset_folder, preset_names
from ser.config.schema import Config
from ser.config.section import Section
from ser.errors import SerError


def write(folder, text, name='mine.yaml'):
    path = folder / name
    path.write_text(text)
    return str(path)


def all_sections():
    """Every Section class reachable from Config."""
    found, todo = [], [Config]
    while todo:
        section = todo.pop()
        if section in found:
            continue
        found.append(section)
        for field in section.model_fields.values():
            todo += section_classes(field.annotation)
            for argument in getattr(field.annotation, '__args__', ()):
                todo += section_classes(argument)
    return found


def test_base_yaml_is_the_defaults_complete_and_commented():
    text = (preset_folder() / 'base.yaml').read_text()
    assert text == commented_yaml(Config()), 'write configs/base.yaml again: ser config show base > configs/base.yaml'
    assert load_config(('base',)) == Config()


@pytest.mark.parametrize('name', preset_names())
def test_every_preset_loads_and_survives_its_own_yaml(name, tmp_path):
    config = load_config((name,))
    path = tmp_path / 'config.yaml'
    path.write_text(to_yaml(config))
    assert load_resolved(path) == config
    path.write_text(commented_yaml(config))
    assert load_resolved(path) == config


def test_every_key_has_a_description():
    sections = all_sections()
    assert len(sections) > 30
    for section in sections:
        assert section.__doc__ and section.__doc__ != Section.__doc__
        for name, field in section.model_fields.items():
            assert field.description and len(field.description) > 5, f'{section.__name__}.{name}'


def test_base_lies_under_all_parents_whoever_extends_it(tmp_path):
    for parents in ('[emodb, crnn-tiny]', '[crnn-tiny, emodb]'):
        config = load_config((write(tmp_path, f'extends: {parents}'),))
        assert (config.protocol.kind, config.protocol.folds, config.model.kind) == ('speaker-kfold', 5, 'crnn')


def test_extends_merges_left_to_right(tmp_path):
    write(tmp_path, 'training: {epochs: 3, batch_size: 8}', 'a.yaml')
    write(tmp_path, 'training: {epochs: 4}', 'b.yaml')
    config = load_config((write(tmp_path, 'extends: [a.yaml, b.yaml]\nrun: {seed: 5}'),))
    assert (config.training.epochs, config.training.batch_size, config.run.seed) == (4, 8, 5)


def test_another_kind_starts_from_its_own_defaults(tmp_path):
    first = write(tmp_path, 'training: {optimizer: {kind: adamw, lr: 0.5, weight_decay: 0.3}}')
    assert load_config((first,), ['training.optimizer.lr=0.1']).training.optimizer.weight_decay == 0.3
    changed = load_config((first,), ['training.optimizer.kind=adam']).training.optimizer
    assert (changed.lr, changed.weight_decay) == (2e-4, 0.0)


def test_lists_replace_and_null_removes_a_view(tmp_path):
    config = load_config(('base',), ['data.labels=[happy, sad]', 'model.views.cqt=null'])
    assert config.data.labels == ('happy', 'sad')
    assert [name for name, view in config.model.views.items() if view is not None] == ['mel']


def test_scientific_notation_that_yaml_reads_as_text_becomes_a_number():
    assert load_config(('base',), ['training.optimizer.lr=1e-3']).training.optimizer.lr == 1e-3


def test_later_assignments_win():
    assert load_config(('base',), ['run.seed=1', 'run.seed=2']).run.seed == 2


def test_an_option_that_contradicts_set_is_refused_and_one_that_agrees_is_not():
    options = {'--device': ('run.device', 'cpu')}
    assert load_config(('base',), ['run.device=cpu'], options).run.device == 'cpu'
    with pytest.raises(SerError, match='--device cpu and --set run.device=cuda contradict'):
        load_config(('base',), ['run.device=cuda'], options)


def test_an_option_that_chooses_a_kind_keeps_what_set_says_of_it():
    options = {'--protocol': ('protocol.kind', 'speaker-kfold')}
    assert load_config(('base',), ['protocol.folds=3'], options).protocol.folds == 3


def test_shards_per_part_choose_the_given_protocol_unless_one_is_named():
    options = {'--test-shards': ('data.test_shards', ['t.tar'])}
    assert load_config(('base',), (), options).protocol.kind == 'given'
    named = load_config(('base',), ['protocol.kind=utterance'], options)
    assert named.protocol.kind == 'utterance'


BAD_VALUES = [
    ('data.labels=sevn', "Did you mean 'seven'"),
    ('features.cqt.hop_lenght=3', "unknown key 'features.cqt.hop_lenght'. Did you mean 'hop_length'? Allowed: engine"),
    ('modl.kind=x', "unknown key 'modl'. Did you mean 'model'?"),
    ('features.cqt.hop_length=true', 'features.cqt.hop_length is True: a number is wanted, not a boolean'),
    ('features.cqt.hop_length=abc', "features.cqt.hop_length is 'abc': should be a whole number"),
    ('features.image.size=-1', 'features.image.size is -1: should be greater than 0'),
    ('training.optimizer.kind=adanw', "training.optimizer: unknown kind 'adanw'. Did you mean 'adamw'? Allowed: adam,"),
    ('training.loss={kind: focal, gama: 3}', "unknown key 'training.loss.gama'. Did you mean 'gamma'?"),
    ('run.tracker.projct=x', "'run.tracker.projct'. 'project' goes with run.tracker.kind: wandb. Allowed: kind"),
    ('training.loss.class_weights=invers', "Did you mean 'inverse'?"),
    ('training.loss.contrastive={temperature: 0}', 'training.loss.contrastive.temperature is 0: should be greater'),
    ('training.optimizer.layer_decay=1.1', 'training.optimizer.layer_decay is 1.1: should be less than or equal to 1'),
    ('training.optimizer.tiers={head: 0}', 'training.optimizer.tiers.head is 0: should be greater than 0'),
    ('training.schedule.kind=restart', "unknown kind 'restart'. Did you mean 'restarts'?"),
    ('training.schedule={kind: restarts, multiply: 0.5}', 'training.schedule.multiply is 0.5: should be greater than'),
    ('run.tracker.kind=wanb', "run.tracker: unknown kind 'wanb'. Did you mean 'wandb'? Allowed: none, tensorboard"),
    ('run.tracker={kind: wandb, project: ""}', "run.tracker.project is ''"),
    ('data.labels=[a, no]', "data.labels is ['a', False]: should be 'auto', 'shared', 'all8'"),
    ('run.device=gpu', "run.device is 'gpu': should be 'auto', 'cpu', 'cuda' or 'mps'"),
    ('training=3', 'training is 3: a mapping is wanted'),
    ('data=5', 'data is 5: a mapping is wanted'),
    ('data=null', 'data is None: a mapping is wanted'),
    ('data=', 'data is None: a mapping is wanted'),
    ('data=[a.tar]', "data is ['a.tar']: a mapping is wanted"),
    ('data.valid_shards=5', 'data.valid_shards is 5: should be a list'),
    ('run.name=a/b', "run.name is 'a/b': should be a plain file name"),
    ('run.name=..', "run.name is '..': should be a plain file name"),
    ('run.name=""', "run.name is '': should be a plain file name"),
    ('run.name="a\\\\b"', 'should be a plain file name of at most 200 bytes; run.folder says where'),
    ('run.name="a\\nb"', 'should be a plain file name'),
    ('run.name=' + 'x' * 201, 'should be a plain file name'),
    ('training.ema=no', 'training.ema is False: a number is wanted'),
    ('features.image.mean=[1, 2]', 'has too few entries'),
    ('model.views.x={backbone: {name: a}}', "model.views.x.backbone: 'kind' is missing. Allowed: timm, mvitv2"),
    ('training.optimizer.lr=.inf', 'should be a finite number'),
    ('training.epochs', '--set training.epochs: give a dotted key and a value'),
    ('training.epochs=[1', '--set training.epochs: line 1'),
]


def test_the_loss_follows_the_task_unless_it_was_chosen_with_it(tmp_path):
    dimensions = 'task.kind=dimensions'
    # A preset's loss is for emotions.
    assert load_config(('maxmvit-tiny',), [dimensions]).training.loss.kind == 'ccc'
    assert load_config(('maxmvit-tiny',), [dimensions, 'training.loss.mse_weight=0.5']).training.loss.mse_weight == 0.5
    assert load_config(('base',), [dimensions, 'training.loss.kind=focal']).training.loss.kind == 'focal'
    (tmp_path / 'own.yaml').write_text('task: {kind: dimensions}\ntraining: {loss: {kind: focal}}\n')
    assert load_config((str(tmp_path / 'own.yaml'),)).training.loss.kind == 'focal'
    assert load_config(('maxmvit-tiny',)).training.loss.kind == 'cross_entropy'


def test_a_kind_that_is_called_as_a_key_of_its_own_does_not_hide_the_key():
    with pytest.raises(SerError, match=r"unknown key 'training\.optimizer\.lr'.*Allowed: kind, parts, rest"):
        load_config(('maxmvit-paper',), ['training.optimizer.lr=0.1'])
    with pytest.raises(SerError, match=r"unknown key 'training\.optimizer\.parts\.mel\.lrr'.*Did you mean 'lr'"):
        load_config(('maxmvit-paper',), ['training.optimizer.parts.mel.lrr=0.1'])


@pytest.mark.parametrize(('assignment', 'message'), BAD_VALUES)
def test_a_bad_key_or_value_is_one_line_with_the_remedy(assignment, message):
    with pytest.raises(SerError) as caught:
        load_config(('base',), [assignment])
    assert message in str(caught.value)
    assert str(caught.value).startswith('--set') and '\n' not in str(caught.value)


BAD_FILES = [
    ('training: {epohs: 3}', "unknown key 'training.epohs'. Did you mean 'epochs'?"),
    ('training: {epochs: 3}\ntraining: {epochs: 4}', "line 2, column 1: key 'training' is written twice"),
    ('a: &many [1, 1]\nb: [*many, *many]', 'line 2, column 5: *many is an alias: write its value out'),
    ('a: !!python/object/apply:os.system [ls]', 'could not determine a constructor'),
    ('- 1\n- 2', 'a config is a mapping of sections, not a list'),
    ('yes: 3', 'is not text (quote it)'),
    ('data: null', 'mine.yaml: data is None: a mapping is wanted'),
    ('data:', 'mine.yaml: data is None: a mapping is wanted'),
    ('data: path', "mine.yaml: data is 'path': a mapping is wanted"),
    ('run: {name: a/b}', "mine.yaml: run.name is 'a/b': should be a plain file name"),
    ('extends: 3', "'extends' takes a name or a list of names"),
    ('extends: mine.yaml', "'extends' goes in a circle: mine.yaml"),
    ('extends: nothere', "unknown preset 'nothere'"),
    ('extends: sub/nothere.yaml', 'no such config file'),
    ('{' * 3000, 'nested too deeply'),
]


@pytest.mark.parametrize(('text', 'message'), BAD_FILES)
def test_a_bad_file_is_named_with_the_remedy(tmp_path, text, message):
    with pytest.raises(SerError) as caught:
        load_config((write(tmp_path, text),))
    assert message in str(caught.value) and '\n' not in str(caught.value)


def test_an_option_does_not_hide_a_section_that_is_no_mapping(tmp_path):
    with pytest.raises(SerError, match=r"mine\.yaml: data is 'shards/': a mapping is wanted"):
        load_config((write(tmp_path, 'data: shards/'),), (), {'--shards': ('data.shards', ['a.tar'])})
    with pytest.raises(SerError, match='--set: data is 5: a mapping is wanted'):
        load_config(('base',), ['data=5', 'data.workers=0'])


def test_names_of_runs_that_are_file_names():
    for name in ('ser', 'Emo-DB 5 folds', 'é.1', '1e3x', '.hidden'):
        assert load_config(('base',), [f'run.name={name}']).run.name == name


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(SerError, match="unknown preset 'demoo'.*Did you mean 'demo'"):
        load_config(('demoo',))


def test_a_missing_or_unreadable_file_says_so(tmp_path):
    with pytest.raises(SerError, match='no such config file'):
        load_config((str(tmp_path / 'none.yaml'),))
    (tmp_path / 'binary.yaml').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(SerError, match='cannot be read'):
        load_config((str(tmp_path / 'binary.yaml'),))


def test_the_error_names_the_file_that_wrote_the_key(tmp_path):
    write(tmp_path, 'training: {epochs: none}', 'parent.yaml')
    child = write(tmp_path, 'extends: parent.yaml\ntraining: {batch_size: 8}')
    with pytest.raises(SerError, match=r'parent\.yaml: training\.epochs is'):
        load_config((child,))


def test_presets_missing_from_both_places_is_a_damaged_installation(tmp_path):
    with pytest.raises(SerError, match='installation is damaged'):
        preset_folder(tmp_path / 'ser')


def test_the_schema_is_json_and_describes_keys():
    schema = json.loads(json_schema())
    assert set(schema['properties']) == {'extends', *Config.model_fields}
    hop = schema['$defs']['CqtConfig']['properties']['hop_length']
    assert 'description' in hop and hop['exclusiveMinimum'] == 0


@pytest.fixture(scope='module')
def schema():
    jsonschema = pytest.importorskip('jsonschema')
    jsonschema.Draft202012Validator.check_schema(json.loads(json_schema()))
    return jsonschema.Draft202012Validator(json.loads(json_schema()))


@pytest.mark.parametrize('name', preset_names())
def test_the_schema_accepts_every_preset_as_written_and_resolved(schema, name):
    schema.validate(yaml.safe_load((preset_folder() / f'{name}.yaml').read_text()))
    schema.validate(yaml.safe_load(to_yaml(load_config((name,)))))


@pytest.mark.parametrize('text', [
    '{}', 'extends: base', 'extends: [base, ./mine.yaml]', 'training: {loss: {label_smoothing: 0.1}}',
    'training: {loss: {gamma: 3}}', 'training: {optimizer: {kind: parts, parts: {mel: {lr: 0.1}}}}',
    'model: {views: {cqt: null, mfcc: {backbone: {name: resnet18}}}}', 'model: {fusion: {kind: gmu}}',
    'protocol: {fold: 3}', 'features: {image: {time: {seconds: 4}}}', 'data: {labels: auto, workers: 0}'])
def test_the_schema_accepts_what_only_changes_a_key(schema, text):
    schema.validate(yaml.safe_load(text))


@pytest.mark.parametrize('text', [
    'extends: 3', 'extends: [1]', 'trainng: {}', 'training: {epohs: 3}', 'training: {epochs: -1}', 'data: null',
    'training: {loss: {label_smoothng: 0.1}}', 'model: {fusion: {kind: gmuu}}', 'run: {device: gpu}'])
def test_the_schema_refuses_what_is_wrong_in_any_config(schema, text):
    assert not schema.is_valid(yaml.safe_load(text))


def test_a_run_from_before_frames_could_be_chosen_keeps_its_images(tmp_path):
    raw = Config().model_dump(mode='json')
    del raw['features']['image']['frames']
    path = tmp_path / 'config.yaml'
    path.write_text(yaml.safe_dump(raw))
    assert load_resolved(path).features.image.frames == 'all'
    path.write_text('features: null')
    with pytest.raises(SerError):
        load_resolved(path)
