"""What chance decides for a batch in training, drawn beforehand by key and handed to the front end."""

from dataclasses import dataclass, fields

import torch

from ser.features.augment import SpecAugmentDraw, draw_spec_augment
from ser.features.mixup import Mix
from ser.features.waveform_augment import AudioDraw, draw_audio
from ser.randomness import uniform


@dataclass(frozen=True)
class Draw:
    """The chance of a batch of B clips; None where there is none.

    A clip's draws are keyed by (seed, epoch, its id) and, where an epoch holds it several times, by which copy it is:
    the same in any batch, rank or world.
    """

    masks: SpecAugmentDraw | None = None
    """SpecAugment's masks."""
    crop: torch.Tensor | None = None
    """Where a fixed length is cut from a longer clip: float32 (B,) in [0, 1), a share of the possible places."""
    mix: Mix | None = None
    """Mixup of waveforms; that of views is the network's."""
    audio: AudioDraw | None = None
    """What happens to the audio itself, augment.waveform; where that is drawn, the host decides shapes."""

    @property
    def parts(self):
        """Names of the parts that are drawn."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    def to(self, device, non_blocking=False):
        """The same draw on `device`."""
        return self._each(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self):
        """The same draw in page-locked memory, for copies that do not block."""
        return self._each(lambda part: part.pin_memory())

    def clone(self):
        """The same draw in memory of its own."""
        return self._each(lambda part: part.clone())

    def copy_(self, other):
        """Take over the numbers of a draw of the same shapes."""
        for name in self.parts:
            getattr(self, name).copy_(getattr(other, name))

    def _each(self, change):
        return Draw(**{name: change(getattr(self, name)) for name in self.parts})


def draw_views(config, views, epoch, ids, mix=None):
    """The Draw of a batch for a Config, on the host.

    views: names that may be masked. ids int64 (B,): a Batch's draw_ids. mix: the batch's Mix, which is applied to
    waveforms where augment.mixup.mixes says so.
    """
    augment, length, seed = config.augment, config.features.waveform.length, config.run.seed
    crop = None
    if length.kind == 'fixed' and length.crop == 'random':
        crop = torch.from_numpy(uniform(ids, 1, 'crop', seed, epoch)[:, 0]).float()
    return Draw(masks=draw_spec_augment(augment.spec_augment, views, seed, epoch, ids), crop=crop,
                mix=mix if augment.mixup.mixes == 'waveforms' else None,
                audio=draw_audio(augment.waveform, seed, epoch, ids))
