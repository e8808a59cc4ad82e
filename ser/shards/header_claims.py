"""What an audio file's header may claim, whoever reads it: checked before anything is allocated for it."""

MAX_CHANNELS = 64
RATES_HZ = (2000, 768000)
# What libsndfile gives for a stream whose header leaves its length open is near 2**63.
_UNKNOWN_FRAMES = 1 << 62
# A FLAC frame of one constant block holds at most 65535 samples in 11 bytes or more.
_FLAC_FRAMES_PER_BYTE = 6000
# Of digital silence encoded in the usual way, FLAC grows 700 times (mono) to 1,800 (six channels), Vorbis to 2,100.
_MAX_EXPANSION = 3000
_FEW_SAMPLES = 1 << 24


def fault_of(sound, size):
    """Why an open soundfile.SoundFile cannot be used, or None.

    size: bytes of the file. What is refused is an absurd sample rate or number of channels, an unknown length, a FLAC
    that claims more than its bytes can hold, and what would grow out of all proportion when it is decoded; how long a
    recording may be is the reader's own affair.
    """
    low, high = RATES_HZ
    if not low <= sound.samplerate <= high:
        return f'has an absurd sample rate, {sound.samplerate} Hz (allowed: {low} to {high})'
    if not 1 <= sound.channels <= MAX_CHANNELS:
        return f'has {sound.channels} channels (allowed: 1 to {MAX_CHANNELS})'
    if not 0 <= sound.frames < _UNKNOWN_FRAMES:
        return 'does not say how many frames it has (it was written to a pipe). Encode it again, to a file'
    if sound.format == 'FLAC' and sound.frames > _FLAC_FRAMES_PER_BYTE * size:
        return f'claims {sound.frames} frames, more than its {size} bytes can hold'
    samples = sound.frames * sound.channels
    if samples > _FEW_SAMPLES and 2 * samples > _MAX_EXPANSION * size:
        return (f'would grow {2 * samples // size} times when it is decoded, to {samples} samples: no recording does '
                f'(allowed: {_MAX_EXPANSION} times)')
    return None


def fewest_frames(sound):
    """How many of the frames that it claims a whole file has at least: an MP3 without a length is estimated."""
    return sound.frames - (sound.frames // 50 + 2304 if sound.format in ('MP3', 'MPEG') else 0)
