"""The synthetic demo corpus as shards, made where it is missing."""

import json
import logging
from pathlib import Path

from ser.corpora import read_corpus
from ser.errors import SerError
from ser.shards.audio_encode import encode
from ser.shards.publish import INDEX, MANIFEST
from ser.shards.write import write_shards

log = logging.getLogger(__name__)


def ensure_demo_shards(folder):
    """Build the demo corpus into `folder` unless it is there already, as this version makes it.

    Raises SerError when the folder holds something else, or demo shards of another version.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        log.info('making the synthetic demo corpus in %s (about ten seconds)', folder)
        write_shards('demo', None, folder)
    elif not _is_this_demo(folder):
        raise SerError(f'{folder}: holds other shards than the demo corpus of this version. Delete or move the folder '
                       'and run again, or name your shards with --shards')


def _is_this_demo(folder):
    """Whether the first clip there is, to the byte, the first clip that is synthesised now."""
    utterances, _ = read_corpus('demo', None)
    now = encode(utterances[0], audio='flac', sample_rate=44100)
    try:
        with open(folder / INDEX, encoding='utf-8') as file:
            return json.loads(file.readline())['sha256'] == now.sha256
    except (OSError, ValueError, KeyError):
        return False
