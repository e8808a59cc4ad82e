"""The corpus that a config was written for: presets for one are called after it."""

from ser.config.merge import layers
from ser.config.presets import preset_folder
from ser.corpora import CORPORA
from ser.errors import SerError

_DEMO = 'demo'


def corpus_of(name):
    """The Corpus that a config, or one that it extends, was written for, or None.

    name: a preset or a YAML file. Raises SerError as `layers` does.
    """
    # Of several the last, whose values win. The synthetic corpus has a preset as well, which says nothing of others.
    return next((CORPORA[stem] for stem in reversed(_presets(name)) if stem in CORPORA and stem != _DEMO), None)


def refuse_without_shards(name):
    """Raises SerError for a config that names no shards, but for one on the preset of the synthetic corpus.

    That corpus is for trying the software: who chose another config and forgot --shards does not want it.
    """
    corpus = corpus_of(name)
    if corpus is not None:
        facts = corpus.facts
        raise SerError(f'config {name} is for {facts.title} ({facts.name}); name its shards: --shards FOLDER (build '
                       f'them: python tools/build_shards.py {facts.name} SOURCE FOLDER)')
    if _DEMO not in _presets(name):
        raise SerError(f'no --shards given, and config {name} names none: add --shards DATA (build them: python '
                       'tools/build_shards.py CORPUS SOURCE DATA). To try it on synthetic voices: --shards data/demo '
                       '(python tools/build_shards.py demo - data/demo)')


def _presets(name):
    """Names of the presets that a config is made of, in the order of `layers`."""
    return [path.stem for path, _ in layers(name) if path.parent == preset_folder()]
