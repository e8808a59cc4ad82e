"""What an exported file says of itself: classes, rate, calibration, protocol and score, licences, limits."""

import json
from importlib import metadata
from pathlib import Path

from ser.corpora import CORPORA
from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.evaluation.run_files import read_split
from ser.evaluation.summary import score_line
from ser.shards.targets import STRATA

LIMITS = ('It hears how something is said, not what a person feels; it is not for judging individuals.',
          'Acted or synthetic training speech, other languages, microphones and noise change what it hears.')


def facts_of(run, config, names, calibration):
    """A dict for JSON of a run directory. calibration: Calibration or None."""
    run, classifies = Path(run), config.task.kind == 'emotion'
    rate, corpora = config.data.sample_rate, _corpora(run, names, classifies)
    output = 'probabilities' if classifies else 'values'
    facts = {
        'summary': f"{run.resolve().name}: speech emotion recognition, {config.model.kind}, {rate} Hz to {output}",
        'name': run.resolve().name, 'model': config.model.kind, 'task': config.task.kind,
        'class_names' if classifies else 'dimension_names': list(names), 'sample_rate': rate,
        'signature': f'waveforms float32 (batch, samples) in [-1, 1], mono, {rate} Hz; lengths int64 (batch,) in '
                     f'samples, what follows is ignored -> {output} float32 (batch, {len(names)})',
        'output': output,
        'calibrated': calibration is not None and calibration.why_not is None,
        'temperature': calibration.temperature if calibration else 1.0,
        'threshold': calibration.threshold if calibration else None, 'longest_seconds': config.data.max_seconds,
        'protocol': _read(run / 'data.json').get('protocol'), 'score': _score(run), 'corpora': corpora,
        'synthetic': _read(run / 'data.json').get('synthetic') is True, 'limits': list(LIMITS),
        'ser_version': _version()}
    if facts['threshold'] is not None:
        facts['unknown'] = f"say 'unknown' where the largest probability is below {facts['threshold']:g}"
    if not classifies:
        facts['units'] = {key: read_task(run)[key] for key in ('unit', 'mean', 'std')}
    encoder = getattr(config.model, 'encoder', None)
    if encoder is not None and encoder.source.kind != 'config':
        facts['encoder'] = getattr(encoder.source, 'name', None) or encoder.source.path
        facts['encoder_licence'] = 'see the checkpoint; it binds what is made of it'
    return facts


def _corpora(run, names, classifies):
    """The corpora that the clips of a run come from, as far as their keys tell, with what is published of them."""
    try:
        keys = [member.key for member in read_split(run, names if classifies else STRATA) if member.part != 'test']
    except SerError:
        return []
    found = [name for name in CORPORA if any(key.startswith(f'{name}-') for key in keys)]
    return [{'name': name, 'title': CORPORA[name].facts.title, 'licence': CORPORA[name].facts.licence,
             'homepage': CORPORA[name].facts.homepage} for name in found]


def _score(run):
    metrics = _read(run / 'test_metrics.json')
    try:
        return score_line(metrics)
    except (KeyError, TypeError):
        return None


def _read(path):
    """The object in a JSON file, or {} where there is none: facts are no reason to refuse."""
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _version():
    try:
        return metadata.version('serstream')
    except metadata.PackageNotFoundError:
        return None
