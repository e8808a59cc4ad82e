"""The card as a hub shows it: front matter that parses, and nothing named that is not there."""

import yaml

from ser.evaluation.card_hub import front_matter, hub_text

CARD = """# old name

What it is.

## Use

From the folder that holds `my run`:

    ser predict CLIP.wav --model 'my run'

`ser evaluate` recomputes the scores from the files here:

    ser evaluate 'my run'

## Files

| file | holds |
| --- | --- |
| config.yaml | the config |
| metrics.csv, curves.png | epochs |
| split.csv | who |

![Learning curves](curves.png)
"""


def test_only_what_is_there_is_listed():
    said = hub_text(CARD, 'my run', 'me/mine', {'config.yaml', 'metrics.csv'})
    assert said.startswith('# mine\n\nWhat it is.\n') and "    ser pull me/mine 'my run'\n" in said
    assert said.index('ser pull') < said.index('ser predict')
    assert '| config.yaml | the config |\n| metrics.csv | epochs |\n' in said
    assert not any(word in said for word in ('split.csv', 'curves.png', 'ser evaluate', 'old name', '\n\n\n'))
    whole = hub_text(CARD, 'my run', 'me/mine', {'config.yaml', 'metrics.csv', 'curves.png', 'split.csv',
                                                 'predictions.csv'})
    assert all(word in whole for word in ('| split.csv |', '![Learning curves](curves.png)', 'ser evaluate'))


def test_front_matter_of_classes_and_of_dimensions():
    corpora = [{'name': name, 'language': language, 'clips': {'train': 1, 'valid': 1, 'test': test}}
               for name, language, test in (('emodb', 'de', 0), ('nemo', 'pl', 5), ('', None, 2))]
    metrics = {'origin': {'corpora': corpora, 'pretrained': []}, 'protocol': 'speaker: 3/2/1', 'per_class': {},
               'ua': 0.51234, 'ua_interval': [0.4, 0.6], 'wa': 0.5, 'wa_interval': [0.4, 0.6], 'macro_f1': 0.49}
    text = front_matter(metrics, 'crnn', 'mine', 'other')
    assert text.startswith('---\n') and text.endswith('\n---\n')
    front = yaml.safe_load(text.strip('-\n'))
    assert (front['license'], front['license_name'], front['language'], front['datasets']) == (
        'other', 'unstated', ['de', 'pl'], ['emodb', 'nemo'])
    result, = front['model-index'][0]['results']
    assert result['dataset'] == {'type': 'nemo', 'name': 'nemo, protocol speaker: 3/2/1'}
    assert result['metrics'][0] == {'type': 'recall', 'name': 'UA, mean recall: 51.2 % [40.0, 60.0]', 'value': 0.5123}
    of_dimensions = {**metrics, 'task': 'dimensions', 'mean_ccc': 0.4, 'interval_method': 'bootstrap'}
    front = yaml.safe_load(front_matter(of_dimensions, 'ssl', 'mine', 'mit').strip('-\n'))
    assert front['metrics'] == ['ccc'] and 'pipeline_tag' not in front
    assert front['model-index'][0]['results'][0]['metrics'][0]['value'] == 0.4
