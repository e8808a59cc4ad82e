"""Variants of a config for an ablation: deltas of a few lines, found by stem, group or glob, each over one base."""

import glob
from pathlib import Path

from ser.config.load import load_config
from ser.config.presets import preset_folder
from ser.errors import SerError, did_you_mean
from ser.files import natural

ALL = 'all'
SUFFIXES = ('.yaml', '.yml')
# What variants may change of `data`: how audio is read. Anything else there says which clips and labels there are.
_READING = ('sample_rate', 'max_seconds', 'workers', 'prefetch')


def shipped_variants():
    """{stem: file} of the variants that come with the presets, in natural order."""
    found = (preset_folder() / 'ablations').glob('*.yaml')
    return {path.stem: path for path in sorted(found, key=lambda path: natural(path.stem))}


def find_variants(texts):
    """{stem: file} of variants given as files, globs, stems of shipped ones, groups of those, or the word 'all'.

    A group is what stands before the hyphen: 'fusion' for every fusion-*. A glob or file is looked for where one is,
    then among the shipped. Raises SerError for one that does not exist, and for two files of one stem.
    """
    found = {}
    for text in texts:
        for path in _files(str(text)):
            other = found.setdefault(path.stem, path)
            if other.resolve() != path.resolve():
                raise SerError(f"two variants are called '{path.stem}': {other} and {path}. Rename one: the stem names "
                               'the variant and its run')
    return found


def _files(text):
    shipped = shipped_variants()
    if text == ALL:
        return list(shipped.values())
    if text in shipped:
        return [shipped[text]]
    group = [path for stem, path in shipped.items() if stem.startswith(f'{text}-')]
    if group:
        return group
    names = sorted(glob.glob(str(Path(text).expanduser())), key=natural)
    # `fusion-*` and `fusion-*.yaml` mean the shipped ones where no such file is at hand.
    names = names or sorted(glob.glob(f'{preset_folder() / "ablations" / text}'), key=natural)
    names = names or sorted(glob.glob(f'{preset_folder() / "ablations" / text}.yaml'), key=natural)
    paths = [Path(name) for name in names]
    wrong = next((path for path in paths if path.suffix not in SUFFIXES or not path.is_file()), None)
    if wrong is not None:
        raise SerError(f'{wrong}: is no YAML file, and a variant is one')
    if not paths:
        groups = dict.fromkeys(stem.partition('-')[0] for stem in shipped)
        raise SerError(f"no variant '{text}'.{did_you_mean(text, [*shipped, *groups, ALL])} Give YAML files, globs, "
                       f"{ALL}, a group ({', '.join(groups)}), or one of: {', '.join(shipped)}")
    return paths


def load_variants(files, base='base', assignments=(), options=None):
    """(the base's Config, {stem: Config}) of {stem: file}, each over `base`; run.name is the stem.

    assignments, options: as load_config; they come last and hold for every variant.
    Raises SerError for what load_config refuses in any of them, and for a variant that changes what all must share:
    the clips and labels (`data`), who is in which part (`protocol`), how scores are computed, and the seed.
    """
    common = load_config((base,), assignments, options)
    shared, variants = _shared(common), {}
    for stem, path in files.items():
        config = load_config((base, str(path)), assignments, options)
        for dotted, value in _shared(config).items():
            if value != shared.get(dotted):
                raise SerError(f'{path}: changes {dotted}, but all variants share seed, split and data. '
                               'Use --set, which holds for all')
        variants[stem] = config.model_copy(update={'run': config.run.model_copy(update={'name': stem})})
    return common, variants


def _shared(config):
    """{dotted key: value} of what all variants have in common."""
    raw = config.model_dump(mode='json')
    sections = ('data', 'protocol', 'evaluation', 'task')
    shared = {f'{section}.{key}': value for section in sections for key, value in raw[section].items()
              if section != 'data' or key not in _READING}
    return shared | {'run.seed': raw['run']['seed']}
