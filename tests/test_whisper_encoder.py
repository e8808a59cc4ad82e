"""The Whisper encoder: transformers' spectrogram and hidden states, whatever the padding of the batch."""

import pytest
import torch

from ser.models.encoder_loading import load, transformers
from ser.models.whisper_encoder import WhisperMel, WhisperWaves
from tests.tiny_encoder import batch, encoder_config, shaken


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return shaken(WhisperWaves(load(encoder_config('whisper')).model, 'whisper')).eval()


def extractor():
    return transformers().WhisperFeatureExtractor(feature_size=20, chunk_length=1)


def test_the_spectrogram_is_the_feature_extractors():
    waveform, _ = batch((16000, 9000, 160))
    waveform[2] = 0.0
    theirs = extractor()(list(waveform.numpy()), sampling_rate=16000, return_tensors='pt').input_features
    assert theirs.shape == (3, 20, 100)
    torch.testing.assert_close(WhisperMel(20)(waveform), theirs, rtol=0, atol=1e-5)


def test_every_layer_is_what_transformers_gives_for_the_padded_clip(encoder):
    waveform, samples = batch()
    padded = torch.nn.functional.pad(waveform, (0, 8000 - waveform.shape[1]))
    with torch.no_grad():
        theirs = encoder.model(WhisperMel(20)(padded), output_hidden_states=True)
        for rows in (slice(0, 3), slice(1, 2)):
            cut = int(samples[rows].max())
            ours = list(encoder.states(waveform[rows, :cut], samples[rows], lambda layer, *tensors: layer(*tensors)))
            assert len(ours) == len(theirs.hidden_states) == 3
            for state, hidden in zip(ours, theirs.hidden_states, strict=True):
                torch.testing.assert_close(state, hidden[rows], rtol=0, atol=1e-5)


def test_frames_of_a_clip_are_those_that_the_attention_mask_of_transformers_leaves(encoder):
    assert encoder.longest == 8000
    for samples in (1, 160, 161, 320, 321, 4000, 8000):
        # Every 160th sample of the mask is a mel frame; the second convolution halves them.
        mel = torch.ones(samples)[::160].sum().long()
        assert encoder.frames(samples) == encoder.model._get_feat_extract_output_lengths(mel)
    assert encoder.frames(torch.tensor([1, 9000])).tolist() == [1, 25]
