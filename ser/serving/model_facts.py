"""What the server says about its model: name, system, score, and what to know before believing an answer."""

from pathlib import Path

from ser.inference.predictor import trained_on_synthetic_speech
from ser.inference.run_words import score_of, system_of

SYNTHETIC = 'trained on synthetic speech: what it says of real voices means nothing'
LIMITS = 'It hears how something is said; it does not know what a person feels'


def model_facts(run, predictor, limits):
    """A dict for JSON, as answers.ModelFacts describes it, of a run directory and its Predictor."""
    run, calibration = Path(run), predictor.calibration
    score, notes = score_of(run)
    if not calibration.fitted:
        notes.append('its probabilities are not calibrated: they say which class is likelier, not how often that is '
                     'right')
    if trained_on_synthetic_speech(run) and not any('synthetic' in note for note in notes):
        notes.insert(0, SYNTHETIC)
    return {
        'name': run.resolve().name, 'system': system_of(run, predictor.config.model.kind),
        'classes': list(predictor.names), 'sample_rate': predictor.sample_rate, 'score': score,
        'calibrated': calibration.fitted, 'threshold': calibration.threshold,
        'limits': {'max_bytes': limits.max_bytes, 'max_seconds': limits.max_seconds}, 'notes': [*notes, LIMITS]}
