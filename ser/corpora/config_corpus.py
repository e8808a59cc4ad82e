"""The corpus that a config was written for: presets for one are called after it."""

from ser.config.merge import layers
from ser.config.presets import preset_folder
from ser.corpora import CORPORA
from ser.errors import SerError


def corpus_of(name):
    """The Corpus that a config, or one that it extends, was written for, or None.

    name: a preset or a YAML file. Raises SerError as `layers` does.
    """
    stems = [path.stem for path, _ in layers(name) if path.parent == preset_folder()]
    # Of several the last, whose values win. The synthetic corpus is what is trained on where none is named.
    return next((CORPORA[stem] for stem in reversed(stems) if stem in CORPORA and CORPORA[stem].needs_source), None)


def refuse_without_shards(name):
    """Raises SerError for a config that was written for a corpus: it names no shards, and no other will do."""
    corpus = corpus_of(name)
    if corpus is not None:
        facts = corpus.facts
        raise SerError(f'config {name} is for {facts.title} ({facts.name}); name its shards: --shards FOLDER (build '
                       f'them: python tools/build_shards.py {facts.name} SOURCE FOLDER)')
