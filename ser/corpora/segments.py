"""A stretch of a longer recording as an audio file of its own, for tables that label parts of files."""

import io
from pathlib import Path

# A longer stretch is left to be refused by whoever decodes it, as a longer recording is.
_LONGEST_SECONDS = 3600


def cut(path, start, end):
    """Bytes of a WAV file (all channels, 32-bit float) of one stretch of a recording.

    start, end: seconds from its beginning; end None for its end. A stretch beyond the end is empty. A recording that
    cannot be decoded comes back as it is, so that its decoder says why.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            first, last = (min(round(seconds * rate), file.frames) for seconds in (
                start, file.frames / rate if end is None else end))
            if last - first > _LONGEST_SECONDS * rate:
                return Path(path).read_bytes()
            file.seek(first)
            samples = file.read(max(last - first, 0), dtype='float32', always_2d=True)
    except soundfile.LibsndfileError:
        return Path(path).read_bytes()
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format='WAV', subtype='FLOAT')
    return buffer.getvalue()


def segment_name(relative, start, end):
    """The path of a recording with its stretch, in milliseconds, before the suffix; unchanged for the whole of it."""
    if not start and end is None:
        return relative
    stem, dot, suffix = relative.rpartition('.')
    bounds = f'{round(1000 * start)}-{"end" if end is None else round(1000 * end)}'
    return f'{stem}-{bounds}.{suffix}' if dot and '/' not in suffix else f'{relative}-{bounds}'
