"""What weights have learnt from: the corpora of a run with their licences, and the weights it started from."""

from collections import Counter
from pathlib import Path, PurePath

from ser.corpora import CORPORA
from ser.errors import SerError
from ser.evaluation.reading import read_json, read_table
from ser.evaluation.run_files import read_config
from ser.shards.index import PARTS
from ser.shards.paths import expand_sets
from ser.shards.publish import MANIFEST

FIELDS = ('title', 'licence', 'language', 'homepage')
MIXED = ('csv', 'jsonl', 'parquet', 'emobox', 'audformat')
"""Ways to bring any corpus: what CORPORA says of them is not about the recordings."""


def origin_of(run, config=None):
    """`{'origin': {'corpora': [...], 'pretrained': [...]}}` of a run directory, ready for test_metrics.json.

    Of each corpus `name` ('' where clips do not say theirs), `title`, `licence`, `language`, `homepage` (None where
    nobody said) and `clips`, how many of it are in which part. What the shards' own manifests say counts, while they
    are there and are those of the run; else what ser.corpora knows. `pretrained`: texts that name published or local
    weights. config: run_files.read_config, where it has been read already.
    """
    run = Path(run)
    config = read_config(run) if config is None else config
    manifests, clips = _manifests(run, config), {}
    known = sorted({*CORPORA, *manifests}, key=len, reverse=True)
    for _, row in read_table(run / 'split.csv', ('key', 'part')):
        if row['part']:
            # A key begins with the name of its corpus.
            name = next((name for name in known if row['key'].startswith(f'{name}-')), '')
            clips.setdefault(name, Counter())[row['part']] += 1
    corpora = [{'name': name, **_facts(name, manifests), 'clips': {part: clips[name][part] for part in PARTS}}
               for name in sorted(clips, key=lambda name: (-sum(clips[name].values()), name))]
    return {'origin': {'corpora': corpora, 'pretrained': pretrained_of(config)}}


def _facts(name, manifests):
    if name in manifests:
        return manifests[name]
    if name not in CORPORA or name in MIXED:
        return dict.fromkeys(FIELDS)
    return {field: getattr(CORPORA[name].facts, field) for field in FIELDS}


def _manifests(run, config):
    """Corpus -> FIELDS of the manifests beside the run's shards, as far as they list the very shards of data.json."""
    used = {shard.get('sha256') for shard in read_json(run / 'data.json', dict).get('shards', ())
            if isinstance(shard, dict)}
    data, found = config.get('data') or {}, {}
    try:
        entries = [*data.get('shards', ()), *data.get('valid_shards', ()), *data.get('test_shards', ())]
        folders = {path.parent for entry in entries for _, path in expand_sets([entry])}
    except (SerError, OSError, TypeError):
        return {}
    for folder in sorted(folders):
        try:
            manifest = read_json(folder / MANIFEST, dict)
            listed = {shard['sha256'] for shard in manifest['shards']}
        except (SerError, KeyError, TypeError):
            continue
        name = manifest.get('corpus')
        if listed & used and isinstance(name, str) and name and name not in MIXED:
            found[name] = {field: manifest.get(field) or None for field in FIELDS}
    return found


def pretrained_of(config):
    """Texts that name the weights that training started from, none where all began at random.

    config: config.yaml as nested dicts.
    """
    return list(dict.fromkeys(_sources(config.get('model') or {})))


def _sources(section):
    if not isinstance(section, dict):
        return
    weights, kind = section.get('weights'), section.get('kind')
    if isinstance(weights, str) and weights:
        yield f'local file {PurePath(weights).name}'
    elif section.get('pretrained') is True and kind == 'timm':
        yield f"timm's published weights of {section.get('name')}"
    if kind == 'hub' and section.get('name'):
        revision = section.get('revision')
        yield f"{section['name']}{f' at {revision}' if revision else ''}, from the Hugging Face hub"
    elif kind == 'folder' and section.get('path'):
        yield f"local checkpoint {PurePath(section['path']).name}"
    for value in section.values():
        for inner in value if isinstance(value, list) else [value]:
            yield from _sources(inner)
