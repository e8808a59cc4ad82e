"""The Whisper encoder: a log-mel spectrogram of 30 seconds, computed on the device, then transformers' layers.

Whisper was trained on clips padded with zeros to 30 seconds and its attention has no mask, so that is what it sees
here, whatever the batch: a clip gives the same alone and beside others. Frames beyond the clip do not reach the pooling
of what stands on it.
"""

import torch
from torch import nn
from torch.nn import functional

RATE, WINDOW, HOP = 16000, 400, 160
SAMPLES_PER_FRAME = 2 * HOP
LINEARS = {'q': 'self_attn.q_proj', 'k': 'self_attn.k_proj', 'v': 'self_attn.v_proj', 'out': 'self_attn.out_proj',
           'feed_in': 'fc1', 'feed_out': 'fc2'}


class WhisperMel(nn.Module):
    """The log-mel spectrogram of transformers' WhisperFeatureExtractor: float32 (B, T) -> (B, bins, T / 160)."""

    def __init__(self, bins):
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        bank = mel_filter_bank(num_frequency_bins=1 + WINDOW // 2, num_mel_filters=bins, min_frequency=0.0,
                               max_frequency=8000.0, sampling_rate=RATE, norm='slaney', mel_scale='slaney')
        self.register_buffer('bank', torch.from_numpy(bank.T).float().contiguous(), persistent=False)
        self.register_buffer('window', torch.hann_window(WINDOW), persistent=False)

    def forward(self, waveform):
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(waveform.float(), WINDOW, HOP, window=self.window, return_complex=True)
            power = spectrum[..., :-1].abs().square()
            level = (self.bank @ power).clamp(min=1e-10).log10()
            level = torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - 8.0)
            return (level + 4.0) / 4.0


class WhisperWaves(nn.Module):
    """Waveforms float32 (B, T) to the hidden states of transformers' WhisperEncoder; `longest` samples are heard."""

    norm_first = True
    receptive = 1

    def __init__(self, model, family):
        super().__init__()
        self.model, self.family = model, family
        self.width = model.config.d_model
        self.longest = model.config.max_source_positions * SAMPLES_PER_FRAME
        self.mel = WhisperMel(model.config.num_mel_bins)

    @property
    def layers(self):
        """The nn.ModuleList of the transformer's layers."""
        return self.model.layers

    def frames(self, samples):
        """Frames that hold something of so many samples, numbers or int64 (B,); never more than there are."""
        whole = -(-samples // SAMPLES_PER_FRAME)
        most = self.model.config.max_source_positions
        return whole.clamp(max=most) if isinstance(whole, torch.Tensor) else min(whole, most)

    def states(self, waveform, samples, run):
        """As WaveEncoder.states; `longest / 320` frames, whatever T is."""
        model = self.model
        x = self.mel(functional.pad(waveform, (0, self.longest - waveform.shape[1])))
        x = functional.gelu(model.conv2(functional.gelu(model.conv1(x)))).transpose(1, 2)
        # As the convolutions before it: where they are fixed, nothing is dropped either.
        x = functional.dropout(x + model.embed_positions.weight, p=model.dropout, training=model.conv1.training)
        yield x
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            x = run(layer, x, None)
            yield model.layer_norm(x) if i == last else x

    def groups(self):
        """As WaveEncoder.groups."""
        return {'front': [self.model.conv1, self.model.conv2], 'input': [self.model.embed_positions],
                **{f'layer.{i:02d}': [layer] for i, layer in enumerate(self.layers)}, 'norm': [self.model.layer_norm]}
