"""Runs as folders of transformers: the same logits, or a refusal."""

import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.models import build_model
from ser.models.encoder_loading import transformers
from ser.models.ssl_export import export_transformers
from tests.tiny_encoder import WAVES, shaken, source

NAMES = ('happy', 'sad', 'angry')
HEAD = 'model.head={kind: projector, hidden: 12}'


def built(family='wav2vec2', large=False, *assignments, auxiliary=None):
    torch.manual_seed(0)
    sizes = source(family, large).model_dump_json()
    config = load_config(('base',), ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
                                     HEAD, f'model.encoder.source={sizes}', *assignments])
    model = build_model(config, NAMES, auxiliary=auxiliary)
    return config, NAMES, shaken(model).eval().requires_grad_(False)


def theirs(path, waveforms):
    """Logits of transformers on what its own feature extractor makes of each clip."""
    library = transformers()
    extractor = library.AutoFeatureExtractor.from_pretrained(path)
    model = library.AutoModelForAudioClassification.from_pretrained(path).eval()
    assert model.config.id2label == dict(enumerate(NAMES))
    with torch.no_grad():
        inputs = [extractor(clip.numpy(), sampling_rate=16000, return_tensors='pt') for clip in waveforms]
        return torch.cat([model(**prepared).logits for prepared in inputs])


CASES = [('wav2vec2', False, ['model.encoder.output=weighted', 'model.encoder.train={kind: lora, rank: 2}']),
         ('hubert', True, ['model.encoder.output=weighted']), ('wavlm', False, ['model.encoder.standardise=false']),
         ('wavlm', True, ['model.encoder.train={kind: lora, targets: [q, k, feed_in]}']), ('data2vec-audio', True, [])]


@pytest.mark.parametrize(('family', 'large', 'assignments'), CASES)
def test_transformers_gives_the_logits_of_the_run(family, large, assignments, tmp_path):
    assert {case[0] for case in CASES} == set(WAVES)
    config, names, model = built(family, large, *assignments)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_transformers(config, names, model, tmp_path / 'out')
    assert {path.name for path in tmp_path.iterdir()} == {'out'}
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'config.json', 'model.safetensors',
                                                                    'preprocessor_config.json'}
    waveforms = [0.1 * torch.randn(length) for length in (9000, 6000)]
    ours = torch.cat([model(clip[None], torch.tensor([len(clip)])) for clip in waveforms])
    torch.testing.assert_close(theirs(tmp_path / 'out', waveforms), ours, rtol=0, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_export_is_a_checkpoint_to_start_from(tmp_path):
    config, names, model = built('hubert', True, 'model.encoder.output=weighted')
    export_transformers(config, names, model, tmp_path / 'out')
    again = load_config(('base',), ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
                                    HEAD, 'model.encoder.output=weighted',
                                    f'model.encoder.source={{kind: folder, path: {tmp_path / "out"}}}'])
    restored = build_model(again, names).eval()
    assert restored.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(restored.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_its_user_is_told_what_is_not_part_of_it(tmp_path):
    config, names, model = built('wav2vec2', False, 'features.waveform.trim.kind=level',
                                 'features.waveform.level.kind=rms', auxiliary={'gender': ('female', 'male')})
    notes = export_transformers(config, names, model, tmp_path / 'out')
    assert [note.split(':')[0].split(' (')[0] for note in notes] == [
        'this encoder normalises over time without a mask', 'features.waveform.trim', 'features.waveform.level',
        'heads left out']
    config, names, model = built('wav2vec2', True)
    assert export_transformers(config, names, model, tmp_path / 'second') == ()


def test_what_transformers_has_no_class_for_is_refused(tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(SerError, match='head projector on statistics pooling cannot be exported'):
        export_transformers(*built('wav2vec2', False, 'model.pooling=statistics'), out)
    with pytest.raises(SerError, match='head mlp on mean pooling cannot be exported'):
        export_transformers(*built('wav2vec2', False, 'model.head.kind=mlp'), out)
    with pytest.raises(SerError, match='a Whisper encoder cannot be exported'):
        export_transformers(*built('whisper', False, 'data.max_seconds=0.5'), out)
    with pytest.raises(SerError, match='model.kind maxmvit cannot be exported'):
        export_transformers(load_config(('base',)), NAMES, None, out)
    with pytest.raises(SerError, match='exists already'):
        export_transformers(*built(), tmp_path)
    with pytest.raises(SerError, match='cannot be written: Not a directory'):
        (tmp_path / 'file').write_text('')
        export_transformers(*built(), tmp_path / 'file' / 'out')
    assert [path.name for path in tmp_path.iterdir()] == ['file']
