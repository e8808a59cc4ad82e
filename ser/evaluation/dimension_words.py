"""Scores of dimensions in words, from the test_metrics.json dict of such a run."""

TABLE_HEADER = ('dimension', 'CCC', 'Pearson r', 'RMSE', 'MAE', 'truth mean', 'truth sd')
TABLE_ALIGN = 'lrrrrrr'


def of_dimensions(metrics):
    """Whether a test_metrics.json dict is of predicted dimensions, rather than of classes."""
    return metrics.get('task') == 'dimensions'


def two_digits(value):
    """'0.61' of 0.613 and '0.00' of -0.001; 'n/a' of None."""
    return 'n/a' if value is None else f'{value:z.2f}'


def with_interval(value, interval):
    """'0.61 [0.52, 0.68]'."""
    return f'{two_digits(value)} [{two_digits(interval[0])}, {two_digits(interval[1])}]'


def ccc_words(metrics):
    """'CCC arousal 0.61 [0.52, 0.68], valence ..., mean ...', and whether that may be chance."""
    values = [f"{name} {with_interval(scores['ccc'], scores['ccc_interval'])}"
              for name, scores in metrics['per_dimension'].items()]
    inside = '' if metrics['excludes_chance'] else '; chance 0 (inside the interval of the mean)'
    return f"CCC {', '.join(values)}, mean {with_interval(metrics['mean_ccc'], metrics['mean_ccc_interval'])}{inside}"


def fold_words(metrics):
    """The line about the folds of pooled metrics."""
    values = ', '.join(two_digits(fold['mean_ccc']) for fold in metrics['folds'])
    return (f"CCC per fold (mean of the dimensions): {values}; mean {two_digits(metrics['fold_ccc_mean'])}, "
            f"standard deviation {two_digits(metrics['fold_ccc_sd'])}")


def table_rows(metrics):
    """Rows under TABLE_HEADER, one per dimension, for text_table or markdown_table."""
    return [(name, with_interval(scores['ccc'], scores['ccc_interval']), two_digits(scores['pearson']),
             *(f'{scores[key]:z.3f}' for key in ('rmse', 'mae', 'truth_mean', 'truth_sd')))
            for name, scores in metrics['per_dimension'].items()]
