"""What weights have learnt from: corpora by their clips' keys, licences by manifests or by what is known."""

import json

import pytest

from ser.corpora import CORPORA
from ser.evaluation.origin import origin_of, pretrained_of


@pytest.fixture
def run(tmp_path):
    (tmp_path / 'data.json').write_text(json.dumps({'shards': [{'name': 'a.tar', 'sha256': 'aa'}]}))
    return tmp_path


def corpora(run, *keys, shards=()):
    """What is said of clips of `keys`, in train, valid, test in turn, and of one in no part."""
    rows = [f"{key},{('train', 'valid', 'test')[place % 3]}" for place, key in enumerate(keys)]
    (run / 'split.csv').write_text('\n'.join(['key,part', *rows, 'tess-unused,', '']))
    found = origin_of(run, {'data': {'shards': list(shards)}, 'model': {}})
    return {corpus.pop('name'): corpus for corpus in found['origin']['corpora']}


def test_known_corpora_by_their_keys(run):
    found = corpora(run, 'ravdess-1', 'emodb-1', 'ravdess-2', 'crema-d-1', 'msp-podcast-x', 'strange_1', 'csv-a')
    assert set(found) == {'ravdess', 'emodb', 'crema-d', 'msp-podcast', 'csv', ''}
    facts = CORPORA['ravdess'].facts
    assert found['ravdess'] == {'title': facts.title, 'licence': facts.licence, 'language': 'en',
                                'homepage': facts.homepage, 'clips': {'train': 1, 'valid': 0, 'test': 1}}
    # How a table was read says nothing about what is in it.
    for name in ('csv', ''):
        assert found[name]['licence'] is None and found[name]['language'] is None


def test_a_manifest_counts_where_it_is_that_of_the_run(run, tmp_path):
    folder = tmp_path / 'shards'
    folder.mkdir()
    (folder / 'a.tar').write_bytes(b'')
    manifest = {'corpus': 'home', 'title': 'Ours', 'licence': 'CC0', 'language': 'fr', 'homepage': None,
                'shards': [{'name': 'a.tar', 'sha256': 'aa'}]}
    (folder / 'shards.json').write_text(json.dumps(manifest))
    found = corpora(run, 'home-1', shards=[str(folder)])
    assert (found['home']['licence'], found['home']['language'], found['home']['homepage']) == ('CC0', 'fr', None)
    for broken in (json.dumps(manifest | {'shards': [{'name': 'a.tar', 'sha256': 'bb'}]}), '{', '{"shards": 3}'):
        (folder / 'shards.json').write_text(broken)
        assert corpora(run, 'home-1', shards=[str(folder)])['']['licence'] is None
    assert corpora(run, 'home-1', shards=[str(tmp_path / 'gone')])['']['licence'] is None


@pytest.mark.parametrize(('model', 'said'), [
    ({'kind': 'svm'}, []),
    ({'views': {'mel': {'backbone': {'kind': 'timm', 'name': 'vit_x.in1k', 'pretrained': True}}, 'cqt': None}},
     ["timm's published weights of vit_x.in1k"]),
    ({'views': {'mel': {'backbone': {'kind': 'timm', 'name': 'vit_x', 'pretrained': False}}}}, []),
    ({'views': {'a': {'backbone': {'kind': 'timm', 'pretrained': True, 'weights': '/x/y/mine.safetensors'}}}},
     ['local file mine.safetensors']),
    ({'encoder': {'source': {'kind': 'hub', 'name': 'a/b', 'revision': 'v2', 'facts': {'config': {'x': [1, {}]}}}}},
     ['a/b at v2, from the Hugging Face hub']),
    ({'encoder': {'source': {'kind': 'folder', 'path': '/x/enc'}}}, ['local checkpoint enc']),
    ({'experts': [{'encoder': {'source': {'kind': 'hub', 'name': 'a/b'}}}] * 2}, ['a/b, from the Hugging Face hub'])])
def test_the_weights_that_training_started_from(model, said):
    assert pretrained_of({'model': model}) == said


def test_the_configs_that_start_from_published_weights_say_so():
    from ser.config.load import load_config

    for preset, said in (('convnext', 'timm'), ('wav2vec2', 'facebook/wav2vec2'), ('crnn-tiny', None)):
        found = pretrained_of(load_config((preset,)).model_dump())
        assert any(said in text for text in found) if said else not found
