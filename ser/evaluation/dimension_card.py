"""The model card of a run that predicts dimensions: its README.md, written from its files."""

import shlex

from ser.evaluation.audit_words import audit_lines
from ser.evaluation.card import protocol_lines, system_words
from ser.evaluation.card_words import data_lines, limit_lines, purpose_lines
from ser.evaluation.dimension_words import TABLE_ALIGN, TABLE_HEADER, fold_words, table_rows, two_digits, with_interval
from ser.evaluation.gates import gate_files, gate_lines
from ser.evaluation.summary import score_line
from ser.evaluation.tables import counted, markdown_table

FILES = (
    ('config.yaml', 'the resolved config'),
    ('best.safetensors', 'the weights of the kept epoch'),
    ('labels.json', 'names of the dimensions in order'),
    ('task.json', 'the dimensions, with mean, standard deviation and range of their labels'),
    ('split.csv', 'which clip is in which part, its label the third of the clips it belongs to'),
    ('data.json', 'digest of the data, counts, protocol'),
    ('metrics.csv, curves.png', 'one row per epoch, and its picture'),
    ('predictions.csv', 'every test clip: the truth (its labels) and what was predicted'),
    ('test_metrics.json', 'the scores above and more'),
    ('scatter.png', 'predictions against the truth'),
)


def model_card(metrics, config, task, run_name):
    """The text of README.md.

    metrics: a test_metrics.json dict; config: config.yaml as nested dicts; task: dimension_files.read_task.
    """
    names = task['names']
    lines = [
        f'# {run_name}', '',
        f"A speech emotion model ({system_words(config)}) that predicts {counted(len(names), 'dimension')}: "
        f"{', '.join(names)}.", '',
        '## Score', '', *score_lines(metrics), '',
        '![Predictions against the truth](scatter.png)', '',
        '## Dimensions', '',
        *markdown_table(('dimension', 'lowest label', 'highest label', 'mean', 'standard deviation'),
                        _label_rows(task), 'lrrrr'), '',
        'Mean and standard deviation are those of the training part, in the units of the labels; predictions come in '
        'the same units and may lie beyond the labels.', '',
        *gate_lines(metrics),
        '## Protocol', '', *protocol_lines(metrics), '',
        *audit_lines(metrics),
        '## Use', '',
        f'From the folder that holds `{run_name}`:', '',
        f'    ser predict CLIP.wav --model {shlex.quote(run_name)}', '',
        'prints a number for each dimension. It always answers, and does not say how sure it is. Labels of dimensions '
        'are means of what a few raters heard, on the scale of one corpus: other raters, languages, microphones and '
        'noise change them and what the model hears. Test it on your own recordings before relying on it. It hears '
        'how something is said; it does not know what a person feels.', '',
        '`ser evaluate` recomputes the scores from the files here:', '',
        f'    ser evaluate {shlex.quote(run_name)}', '',
        *purpose_lines(), *limit_lines(metrics), *data_lines(metrics),
        '## Files', '', *markdown_table(('file', 'holds'), [*FILES, *gate_files(metrics)]), '',
        '![Learning curves](curves.png)',
    ]
    return '\n'.join(lines) + '\n'


def _label_rows(task):
    return [(name, f'{low:g}', f'{high:g}', f'{mean:z.3f}', f'{std:.3f}') for name, (low, high), mean, std
            in zip(task['names'], task['unit'], task['mean'], task['std'], strict=True)]


def score_lines(metrics):
    """The scores as Markdown: the score line, the warnings in bold, the table, how the intervals were made."""
    mean = with_interval(metrics['mean_ccc'], metrics['mean_ccc_interval'])
    return [f'{score_line(metrics)}.', '', *(f'- **{note}**' for note in metrics['notes']),
            *([''] if metrics['notes'] else []), *markdown_table(TABLE_HEADER, table_rows(metrics), TABLE_ALIGN), '',
            f'Mean CCC {mean}. CCC is the concordance correlation: 1 where predictions equal the truth, 0 for any '
            'guess that ignores the audio. RMSE and MAE are in the units of the labels; saying the truth\'s mean of '
            'every clip has its sd as RMSE.', '',
            f"Intervals: {metrics['interval_method']}. {_verdict(metrics)}"]


def _verdict(metrics):
    if not metrics['excludes_chance']:
        return ('**0 lies inside the interval of the mean CCC: this test does not show that the model does better '
                'than guessing.**')
    if metrics['mean_ccc'] < 0:
        return '**The interval of the mean CCC lies below 0: on this test the model is worse than guessing.**'
    return 'The interval of the mean CCC excludes chance.'


def folds_card(metrics, name):
    """The README.md of pooled folds."""
    names = list(metrics['per_dimension'])
    rows = [(i, fold['run'], two_digits(fold['mean_ccc']), *(two_digits(fold['ccc'][name]) for name in names),
             fold['n'], 'unknown' if fold['n_speakers'] is None else fold['n_speakers'], fold['best_epoch'],
             fold['protocol'], '; '.join(fold['notes'])) for i, fold in enumerate(metrics['folds'], start=1)]
    header = ('#', 'run', 'mean CCC', *names, 'clips', 'speakers', 'best epoch', 'tests', 'notes')
    absent = [f'- **fold {number} is missing: it failed or has not run; the scores are of the others.**'
              for number in metrics['missing_folds']]
    lines = [
        f'# {name}', '',
        f"{counted(len(rows), 'fold')} pooled: every clip's prediction comes from the model that was not trained "
        'on it, and the scores below are of all these predictions together. Folds that predict on different levels '
        'lower the CCC of the whole below that of each fold.', '',
        '## Score', '', *score_lines(metrics), '',
        '![Predictions against the truth](scatter.png)', '',
        '## Folds', '', *absent, *([''] if absent else []),
        *markdown_table(header, rows, 'rlr' + 'r' * len(names) + 'rrrll'), '',
        f'{fold_words(metrics)}.', '',
        '## Protocol', '', *protocol_lines(metrics),
    ]
    return '\n'.join(lines) + '\n'
