"""Scores of collected predictions, by scikit-learn: UA, WA, F1, per class, confusion matrix, log loss.

UA is unweighted accuracy, the mean of the classes' recalls (also called UAR or balanced accuracy); WA is weighted
accuracy, the share of clips that are right.
"""

import numpy as np


def scores(labels, predicted, probabilities, names):
    """Every score of N clips among C classes, as a dict ready for JSON.

    labels, predicted: class indices, int (N,), N > 0. probabilities: (N, C), rows summing to 1. names: C class names.
    `ua`, `wa`, `macro_f1`, `weighted_f1` are shares in [0, 1]; `log_loss` is in nats, probabilities clipped at
    float64's epsilon; `per_class` maps a name to precision, recall, f1, support; `confusion_matrix` is C x C counts,
    rows labels and columns predictions, in the order of `names`.

    A class with no clip among `labels` is absent: its precision, recall and F1 are None, and UA and macro-F1 are
    means over the classes that are present. Clips mistaken for an absent class still count as errors of their own.
    A class that is present but never predicted has precision and F1 0.
    """
    # Slow to import, and only asked for where something is scored.
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    classes = np.arange(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, average=None, zero_division=0)
    present = support > 0
    per_class = {}
    for i, name in enumerate(names):
        values = {'precision': precision[i], 'recall': recall[i], 'f1': f1[i]}
        per_class[name] = {key: float(value) if present[i] else None for key, value in values.items()}
        per_class[name]['support'] = int(support[i])
    return {
        'ua': float(recall[present].mean()),
        'wa': float(accuracy_score(labels, predicted)),
        'macro_f1': float(f1[present].mean()),
        'weighted_f1': float(np.average(f1, weights=support)),
        'log_loss': mean_log_loss(labels, probabilities, classes),
        'per_class': per_class,
        'confusion_matrix': confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def mean_log_loss(labels, probabilities, classes):
    """Mean of -log p(label) in nats; rows are divided by their sums first, which rounding leaves a little off 1."""
    from sklearn.metrics import log_loss

    probabilities = np.asarray(probabilities, dtype=np.float64)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(log_loss(labels, probabilities, labels=classes))


def absent_classes(labels, names):
    """Names of the classes that no label (class index) has."""
    present = set(np.asarray(labels).tolist())
    return tuple(name for i, name in enumerate(names) if i not in present)
