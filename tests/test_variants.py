"""Variants of a config: where they are found, what they may change, and those that come with the presets."""

import pytest

from ser.config.load import load_config
from ser.config.variants import find_variants, load_variants, shipped_variants
from ser.errors import SerError
from ser.models.maxmvit import build_network

FUSIONS = {
    'baseline_concat_bn': ({'kind': 'concat'}, 'mlp_bn'),
    'concat_ln': ({'kind': 'concat'}, 'mlp_ln'),
    'concat_residual_ln': ({'kind': 'concat'}, 'mlp_residual_ln'),
    'gated_scalar_concat_ln': ({'kind': 'gated_scalar', 'mode': 'concat'}, 'mlp_ln'),
    'gated_scalar_sum_ln': ({'kind': 'gated_scalar', 'mode': 'sum'}, 'mlp_ln'),
    'gated_channel_complement_ln': ({'kind': 'gated_channel', 'complementary': True}, 'mlp_ln'),
    'gated_channel_indep_ln': ({'kind': 'gated_channel', 'complementary': False}, 'mlp_ln'),
    'attn2token_ln': ({'kind': 'attn2token', 'width': 768, 'layers': 1, 'heads': 8, 'feedforward': 3072,
                       'dropout': 0.1}, 'mlp_ln'),
    'hadamard_concat_ln': ({'kind': 'hadamard', 'width': 768, 'mode': 'concat', 'dropout': 0.0}, 'mlp_ln'),
    'hadamard_prod_ln': ({'kind': 'hadamard', 'width': 768, 'mode': 'prod', 'dropout': 0.0}, 'mlp_ln'),
    'lowrank_bilinear_ln': ({'kind': 'lowrank_bilinear', 'rank': 256, 'width': 768, 'dropout': 0.0}, 'mlp_ln'),
}
EQUAL_WIDTHS = {'gated_scalar_sum_ln', 'gated_channel_complement_ln'}


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f'{name}.yaml').write_text(text)
    return folder


def test_the_shipped_fusions_are_those_of_the_reference_over_any_base():
    files = find_variants(['fusion'])
    assert list(files) == sorted(f'fusion-{name}' for name in FUSIONS)
    for base in ('base', 'maxmvit-tiny', 'maxmvit-paper'):
        _, variants = load_variants(files, base)
        for name, (fusion, head) in FUSIONS.items():
            model = variants[f'fusion-{name}'].model
            assert model.fusion.model_dump() == fusion
            blocks = {'blocks': 2} if head == 'mlp_residual_ln' else {}
            assert model.head.model_dump() == {'kind': head, 'hidden': 512, 'dropout': 0.2, **blocks}


def test_all_fusions_but_two_fit_the_tiny_pair_as_it_is_and_those_with_equal_widths():
    files = find_variants(['fusion'])
    _, variants = load_variants(files, 'maxmvit-tiny')
    refused = set()
    for name, config in variants.items():
        try:
            build_network(config.model, config.features.image, 4)
        except SerError as error:
            assert 'views of equal width' in str(error)
            refused.add(name.removeprefix('fusion-'))
    assert refused == EQUAL_WIDTHS
    _, variants = load_variants(files, 'maxmvit-tiny', [
        'model.views.cqt.backbone.options.embed_dim=[16, 32, 48, 96]', 'model.head.hidden=128'])
    for name in EQUAL_WIDTHS:
        config = variants[f'fusion-{name}']
        assert build_network(config.model, config.features.image, 4) and config.model.head.hidden == 128


def test_the_other_groups_change_one_thing_each():
    _, augment = load_variants(find_variants(['augment']), 'maxmvit-tiny')
    said = {name: (c.augment.spec_augment.kind, c.augment.mixup.alpha > 0, c.features.image.channels)
            for name, c in augment.items()}
    assert said == {'augment-none': ('none', False, 'replicate'), 'augment-spec_v1': ('masks', False, 'replicate'),
                    'augment-mixup': ('none', True, 'replicate'), 'augment-delta': ('none', False, 'delta')}
    _, views = load_variants(find_variants(['views']), 'maxmvit-tiny')
    assert {name: [view for view, one in c.model.views.items() if one] for name, c in views.items()} == {
        'views-both': ['cqt', 'mel'], 'views-cqt': ['cqt'], 'views-mel': ['mel']}
    _, rates = load_variants(find_variants(['lr']))
    assert {name: c.training.optimizer.lr for name, c in rates.items()} == {
        f'lr-{text}': float(text) for text in ('2e-4', '1e-4', '5e-5', '2e-5')}
    assert set(find_variants(['all'])) == set(shipped_variants()) and len(shipped_variants()) == 22


def test_variants_are_found_by_file_glob_stem_and_group(tmp_path, monkeypatch):
    folder = write(tmp_path / 'mine', **{'a-1': '{}', 'a-2': '{}', 'b': '{}'})
    assert list(find_variants([str(folder / 'a-*.yaml'), str(folder / 'b.yaml')])) == ['a-1', 'a-2', 'b']
    assert list(find_variants([str(folder / 'b.yaml'), 'lr-1e-4', str(folder / 'b.yaml')])) == ['b', 'lr-1e-4']
    assert list(find_variants(['fusion-gated_scalar_*', 'views-c*.yaml'])) == [
        'fusion-gated_scalar_concat_ln', 'fusion-gated_scalar_sum_ln', 'views-cqt']
    monkeypatch.chdir(folder)
    assert list(find_variants(['a-*.yaml', 'lr-*'])) == ['a-1', 'a-2', 'lr-1e-4', 'lr-2e-4', 'lr-2e-5', 'lr-5e-5']


def test_variants_that_are_none_are_refused(tmp_path):
    one, two = write(tmp_path / 'one', x='{}'), write(tmp_path / 'two', x='{}')
    with pytest.raises(SerError, match=r"two variants are called 'x': .*Rename one"):
        find_variants([str(one / 'x.yaml'), str(two / 'x.yaml')])
    with pytest.raises(SerError, match=r"no variant 'fusoin'\. Did you mean 'fusion'\?.*a group \(augment, fusion, lr"):
        find_variants(['fusoin'])
    with pytest.raises(SerError, match='no variant'):
        find_variants([str(one / 'gone-*.yaml')])
    (one / 'x.txt').touch()
    for text in (one / 'x.txt', one):
        with pytest.raises(SerError, match='is no YAML file'):
            find_variants([str(text)])


def test_a_slip_in_any_variant_names_its_file(tmp_path):
    folder = write(tmp_path / 'v', good='training: {epochs: 3}', bad='model: {fuson: {kind: gmu}}')
    with pytest.raises(SerError, match=r"bad\.yaml: unknown key 'model\.fuson'\. Did you mean 'fusion'\?"):
        load_variants(find_variants([str(folder / '*.yaml')]))
    with pytest.raises(SerError, match=r"unknown key 'training\.optimizer"):
        load_variants(find_variants(['lr']), 'maxmvit-paper')


@pytest.mark.parametrize(('text', 'dotted'), [
    ('run: {seed: 3}', 'run.seed'), ('protocol: {test_fraction: 0.3}', 'protocol.test_fraction'),
    ('protocol: {kind: utterance}', 'protocol.kind'), ('data: {labels: [a, b]}', 'data.labels'),
    ('data: {shards: [x]}', 'data.shards'), ('evaluation: {bootstrap: 9}', 'evaluation.bootstrap')])
def test_what_all_variants_share_cannot_be_changed_by_one(tmp_path, text, dotted):
    folder = write(tmp_path / 'v', one=text)
    with pytest.raises(SerError, match=rf'one\.yaml: changes {dotted}, but all variants share seed, split and data'):
        load_variants(find_variants([str(folder / 'one.yaml')]))


def test_assignments_hold_for_every_variant_and_the_stem_names_the_run(tmp_path):
    folder = write(tmp_path / 'v', one='training: {epochs: 3}', two='data: {sample_rate: 16000}')
    common, variants = load_variants(find_variants([str(folder / '*.yaml')]), 'maxmvit-tiny',
                                     ['training.epochs=5', 'run.seed=7'], {'--device': ('run.device', 'cpu')})
    assert [c.training.epochs for c in variants.values()] == [5, 5]
    assert [(c.run.name, c.run.seed, c.run.device) for c in variants.values()] == [('one', 7, 'cpu'), ('two', 7, 'cpu')]
    assert variants['two'].data.sample_rate == 16000 and common == load_config(
        ('maxmvit-tiny',), ['training.epochs=5', 'run.seed=7', 'run.device=cpu'])
