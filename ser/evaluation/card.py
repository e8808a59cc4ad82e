"""The model card: a run's README.md, written from its files."""

import shlex

from ser.evaluation.audit_words import audit_lines
from ser.evaluation.auxiliary import auxiliary_lines
from ser.evaluation.calibration_words import calibration_files, confidence_lines, usage_words
from ser.evaluation.card_words import data_lines, limit_lines, purpose_lines
from ser.evaluation.dimension_words import of_dimensions
from ser.evaluation.gates import gate_files, gate_lines
from ser.evaluation.summary import PER_CLASS_ALIGN, PER_CLASS_HEADER, per_class_rows, score_line
from ser.evaluation.tables import counted, markdown_table, percent, percent_with_interval

FILES = (
    ('config.yaml', 'the resolved config'),
    ('best.safetensors', 'the weights of the kept epoch'),
    ('labels.json', 'class names in index order'),
    ('split.csv', 'which clip is in which part'),
    ('data.json', 'digest of the data, counts, protocol'),
    ('metrics.csv, curves.png', 'one row per epoch, and its picture'),
    ('predictions.csv', 'every test clip with its probabilities (uncalibrated)'),
    ('test_metrics.json', 'the scores above and more'),
    ('confusion_matrix.csv, confusion_matrix.png', 'counts, and shares of each label'),
    ('class_distribution.png', 'clips per class and part'),
)
PROTOCOLS = {
    'speaker': 'Whole speakers were drawn for training, validation and test.',
    'speaker-kfold': 'Speakers were divided into groups; each fold tests one group and trains on others.',
    'leave-one-speaker-out': 'Each fold tests one speaker and trains on others.',
    'leave-one-session-out': 'Each fold tests one recording session and trains on others.',
    'emobox': 'The test part is a fold that EmoBox published.',
    'text': 'Whole sentences were drawn: words are unseen in test, speakers are not.',
    'speaker+text': 'Test is unseen speakers saying unseen sentences.',
    'official': 'The split came with the corpus.',
    'cross': 'Whole corpora are tested, others trained on.',
    'leave-one-corpus-out': 'Each fold tests one corpus and trains on the others.',
    'given': 'Somebody else decided which clip is in which part.',
    'utterance': 'Clips were drawn at random, whoever speaks.',
}


def model_card(metrics, config, run_name):
    """The text of README.md. metrics: a test_metrics.json dict; config: config.yaml as nested dicts."""
    names = list(metrics['per_class'])
    lines = [
        f'# {run_name}', '',
        f"A speech emotion classifier ({system_words(config)}) that tells {len(names)} classes apart: "
        f"{', '.join(names)}.", '',
        '## Score', '',
        *score_lines(metrics), '',
        *markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN), '',
        *[text for line in auxiliary_lines(metrics) for text in (f'{line}.', '')],
        '![Confusion matrix](confusion_matrix.png)', '',
        *gate_lines(metrics),
        '## Protocol', '',
        *protocol_lines(metrics), '',
        '![Clips per class and part](class_distribution.png)', '',
        *audit_lines(metrics),
        *confidence_lines(metrics),
        '## Use', '',
        f'From the folder that holds `{run_name}`:', '',
        f'    ser predict CLIP.wav --model {shlex.quote(run_name)}', '',
        usage_words(metrics), '',
        '`ser evaluate` recomputes the scores from the files here:', '',
        f'    ser evaluate {shlex.quote(run_name)}', '',
        *purpose_lines(), *limit_lines(metrics), *data_lines(metrics),
        '## Files', '',
        *markdown_table(('file', 'holds'), [*FILES, *calibration_files(metrics), *gate_files(metrics)]), '',
        '![Learning curves](curves.png)',
    ]
    return '\n'.join(lines) + '\n'


def system_words(config):
    """The system in a few words: its kind, and each view with its backbone where it has views."""
    model = config['model']
    views = [f'{name}: {_backbone(view)}' for name, view in (model.get('views') or {}).items() if view]
    fusion = (model.get('fusion') or {}).get('kind')
    joined = [f'fusion {fusion}'] if fusion and len(views) > 1 else []
    return ', '.join([f"`{model.get('kind', 'unknown kind')}`", *views, *joined])


def _backbone(view):
    backbone = view.get('backbone') or {}
    return backbone.get('name') or backbone.get('kind') or 'unknown backbone'


def score_lines(metrics):
    """The scores as Markdown: the score line, the warnings in bold, the table, how the intervals were made."""
    rows = [('UA (mean recall of the classes)', percent_with_interval(metrics['ua'], metrics['ua_interval'])),
            ('WA (share of clips that are right)', percent_with_interval(metrics['wa'], metrics['wa_interval'])),
            ('macro-F1', percent(metrics['macro_f1'])), ('weighted F1', percent(metrics['weighted_f1'])),
            ('log loss', f"{metrics['log_loss']:.3f} nats"), ('chance (UA)', percent(metrics['chance']))]
    verdict = 'The interval of UA excludes chance.' if metrics['excludes_chance'] else \
        '**Chance lies inside the interval of UA: this test does not show that the model does better than guessing.**'
    return [f'{score_line(metrics)}.', '', *(f'- **{note}**' for note in metrics['notes']),
            *([''] if metrics['notes'] else []), *markdown_table(('score', 'test part'), rows, 'lr'), '',
            f"Intervals: {metrics['interval_method']}. {verdict}"]


def protocol_lines(metrics):
    """The protocol in words: kind, description, whether speakers are shared, how the epoch was chosen."""
    disjoint = {True: 'No test speaker is in training or validation.',
                False: 'Test speakers are in training too, so the score is speaker-dependent and optimistic.',
                None: 'Speakers are unknown, so nobody can tell whether test speakers are in training.'}
    words = PROTOCOLS.get(metrics['protocol_kind'])
    epoch, measure = metrics['best_epoch'], 'mean CCC' if of_dimensions(metrics) else 'UA'
    chosen = [] if epoch is None else [
        f'The weights are those of epoch {epoch}, the best {measure} on the validation part (of equals, '
        'the one with the lowest loss); the test part chose nothing.']
    return [f"{metrics['protocol']}.", '',
            ' '.join([*([words] if words else []), disjoint[metrics['speaker_disjoint']], *chosen])]


def folds_card(metrics, name):
    """The README.md of pooled folds."""
    rows = [(i, fold['run'], fold['tests'], percent(fold['ua']), percent(fold['wa']), fold['n'], fold['best_epoch'],
             fold['protocol'], '; '.join(fold['notes'])) for i, fold in enumerate(metrics['folds'], start=1)]
    lines = [
        f'# {name}', '',
        f"{counted(len(rows), 'fold')} pooled: every clip's prediction comes from the model that was not trained "
        'on it, and the scores below are of all these predictions together.', '',
        '## Score', '', *score_lines(metrics), '',
        *markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN), '',
        '![Confusion matrix](confusion_matrix.png)', '',
        '## Folds', '',
        *markdown_table(('#', 'run', 'tests', 'UA', 'WA', 'clips', 'best epoch', 'protocol', 'notes'), rows,
                        'rllrrrrll'), '',
        f"Mean UA of the folds {percent(metrics['fold_ua_mean'])}, standard deviation "
        f"{100 * metrics['fold_ua_sd']:.1f}.", '',
        *confidence_lines(metrics),
        '## Protocol', '', *protocol_lines(metrics),
    ]
    return '\n'.join(lines) + '\n'
