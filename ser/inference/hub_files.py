"""Which files of a run go to a model hub, and what is left out of them: audio, speakers, folders of this machine."""

import json
from pathlib import Path

import yaml

from ser.errors import SerError
from ser.evaluation import card, dimension_card
from ser.evaluation.card_hub import front_matter, hub_text
from ser.evaluation.dimension_files import read_task
from ser.evaluation.folders import paths_named, without_folders
from ser.evaluation.origin import origin_of
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_config
from ser.files import verifies
from ser.inference.hub_auxiliary import sent_classes, with_sent_classes
from ser.training.run import open_run

WEIGHTS = 'best.safetensors'
NEEDED = ('config.yaml', 'labels.json', WEIGHTS, f'{WEIGHTS}.sha256')
"""What every model is rebuilt from."""
FACTS = ('test_metrics.json', 'data.json', 'calibration.json', 'task.json', 'auxiliary.json', 'metrics.csv',
         'confusion_matrix.csv')
PICTURES = ('confusion_matrix.png', 'curves.png', 'class_distribution.png', 'scatter.png', 'reliability.png',
            'risk_coverage.png')
CLIPS = ('predictions.csv', 'predictions-validation.csv', 'split.csv')
"""Files that name clips and speakers."""
README, CARD = 'README.md', 'MODEL_CARD.md'
KNOWN = (*NEEDED, *FACTS, *PICTURES, *CLIPS, README, CARD)
"""All that is ever sent, and all that is ever fetched."""


def needed_by(config):
    """Files without which a run of this Config does not predict, beside NEEDED."""
    auxiliary = config.task.kind == 'emotion' and config.task.auxiliary
    return (*(('task.json',) if config.task.kind == 'dimensions' else ()), *(('auxiliary.json',) if auxiliary else ()))

# Of data.json; the rest names speakers.
_OF_DATA = ('digest', 'split', 'classes', 'clips', 'protocol_kind', 'protocol', 'protocol_version', 'protocol_seed',
            'speaker_disjoint', 'fold', 'folds', 'synthetic', 'notes')



def files_of(run, repository, with_predictions=False, licence='other'):
    """name -> bytes, or the Path of a file that is sent as it is: a run's files for `repository`, README.md last.

    Raises SerError for a folder that is no run, one whose training is not finished, damaged weights, and files that are
    missing and that it needs to predict.
    """
    run = Path(run)
    config, _ = open_run(run)
    missing = [name for name in needed_by(config) if not (run / name).is_file()]
    if missing:
        raise SerError(f'{run}: {missing[0]} is missing, and without it nobody could predict. Train again, or fetch '
                       'the run anew from where it came')
    if not verifies(run / WEIGHTS):
        raise SerError(f'{run / WEIGHTS}: missing, or not what the sha256 beside it says. Finish the run: python -m '
                       f'ser.train --resume {run}')
    metrics = read_json(run / 'test_metrics.json', dict)
    metrics = metrics if 'origin' in metrics else metrics | origin_of(run)
    metrics = with_sent_classes(metrics, run, with_predictions)
    shared = {'config.yaml': _config(run, with_predictions), 'test_metrics.json': _json(metrics),
              'data.json': _json(_data(run))}
    if (run / 'auxiliary.json').is_file():
        shared['auxiliary.json'] = _json({target: list(names)
                                          for target, names in sent_classes(run, with_predictions).items()})
    wanted = [*NEEDED, *FACTS, *PICTURES, *(CLIPS if with_predictions else ())]
    files = {}
    for name in wanted:
        if name in shared:
            files[name] = shared[name]
        elif (run / name).is_file():
            files[name] = _json(read_json(run / name, dict)) if name == 'calibration.json' else run / name
    files[README] = readme(run, metrics, repository, {*files}, licence).encode()
    return files


def readme(run, metrics, repository, held, licence):
    """The text of README.md on the hub. held: names of the files beside it."""
    config, task, name = read_config(run), read_task(run), run.resolve().name
    text = card.model_card(metrics, config, name) if task is None else \
        dimension_card.model_card(metrics, config, task, name)
    front = front_matter(metrics, config['model'].get('kind', 'unknown'), repository.partition('/')[2], licence)
    return front + '\n' + without_folders(hub_text(text, name, repository, held))


def body(text):
    """A README's text without its front matter."""
    return text.partition('---\n\n')[2] if text.startswith('---\n') else text


def _config(run, with_speakers):
    """config.yaml without folders: shards and the like are named, where they lie is nobody's business."""
    config = paths_named(read_config(run))
    if not with_speakers and (config.get('protocol') or {}).get('groups'):
        # Names of the speakers of each fold.
        config['protocol']['groups'] = []
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode()


def _data(run):
    data = read_json(run / 'data.json', dict)
    kept = {key: data[key] for key in _OF_DATA if key in data}
    parts = {part: {key: found[key] for key in ('clips', 'classes') if key in found}
             for part, found in (data.get('parts') or {}).items()}
    return {**kept, 'shards': data.get('shards', []), 'parts': parts}


def _json(value):
    return (json.dumps(without_folders(value), indent=2, ensure_ascii=False, allow_nan=False) + '\n').encode()
