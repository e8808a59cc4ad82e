"""A README.md that a repository holds already, which stays as it is: what it says otherwise than the card of a run."""

import yaml


def scores_of(text):
    """Score -> value of the first result in the front matter of a model's README, as model hubs read it; {} if none."""
    if not text.startswith('---\n'):
        return {}
    try:
        front = yaml.safe_load(text.split('\n---', 1)[0])
        metrics = front['model-index'][0]['results'][0]['metrics']
        return {one['type']: float(one['value']) for one in metrics}
    except (yaml.YAMLError, LookupError, TypeError, ValueError):
        # Somebody else's text, in whatever shape.
        return {}


def differences(theirs, ours):
    """In which scores two READMEs differ, in words; None where they agree or `theirs` states none."""
    stated, made = scores_of(theirs), scores_of(ours)
    said = [f"{name} {stated[name]:g} ({made[name]:g} here)" if name in made else f'{name} {stated[name]:g}'
            for name in stated if stated[name] != made.get(name)]
    return ', '.join(said) or None
