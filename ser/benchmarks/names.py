"""The names of what can be measured; imports nothing heavy, for the command line."""

from ser.errors import SerError, did_you_mean

STAGES = ('index', 'read', 'decode', 'batch', 'copy', 'cqt', 'mel', 'level_image', 'spec_augment', 'front_end',
          'model_forward', 'train_step', 'read_decode', 'first_batch', 'train_from_shards')
"""In the order they are measured and printed."""

SHARD_STAGES = ('index', 'read', 'decode', 'batch', 'read_decode', 'first_batch', 'train_from_shards')
"""Those that read shards."""

RIVALS = ('librosa', 'librosa-parallel', 'nnaudio-1992', 'nnaudio-2010', 'torchaudio', 'cached', 'webdataset',
          'bare-ffts')
"""In the order they are printed, after ser."""


def chosen(option, names, allowed):
    """`names` without repeats, in the order of `allowed`. Raises SerError for one that is not allowed."""
    for name in names:
        if name not in allowed:
            raise SerError(f"{option}: unknown '{name}'.{did_you_mean(name, allowed)} Allowed: {', '.join(allowed)}")
    return tuple(name for name in allowed if name in names)
