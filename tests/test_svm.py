"""The support vector machine in torch against scikit-learn's own decisions; choosing, scaling, storing."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.datasets import make_blobs
from sklearn.svm import SVC

from ser.config.baselines import SvmConfig
from ser.errors import SerError
from ser.models.fitted import Clips
from ser.models.svm import FURTHEST, SvmNetwork, fitted_scale
from ser.training.checkpoint import load_weights, save_weights

NAMES = ('neutral', 'happy', 'sad', 'angry')
CONFIG = SvmConfig(penalties=(0.5, 4.0), widths=(0.3, 1.0))


def clips(count, classes, seed, functionals=6):
    x, y = make_blobs(count, functionals, centers=np.random.default_rng(9).normal(0, 2, (classes, functionals)),
                      cluster_std=2.0, random_state=seed)
    return Clips(torch.from_numpy(x * 10 + 50), torch.from_numpy(y), torch.arange(count))


def fitted(classes=4, config=CONFIG):
    """A float64 network fitted to blobs, and the Clips of training and validation."""
    train, valid = clips(120, classes, 0), clips(60, classes, 1)
    network = SvmNetwork(config, NAMES[:classes], 6).double()
    network.fit(train, valid)
    return network, train, valid


def reference(network, train, penalty, width, **options):
    machine = SVC(C=penalty, gamma=width / 6, class_weight='balanced', break_ties=True, **options)
    return machine.fit(network.standardised(train.values).numpy(), train.classes.numpy())


@pytest.mark.parametrize('classes', [2, 3, 4])
def test_decisions_and_classes_are_scikit_learns(classes):
    network, train, _ = fitted(classes, SvmConfig(penalties=(2.0,), widths=(0.5,)))
    machine = reference(network, train, 2.0, 0.5)
    others = clips(300, classes, 2).values
    x = network.standardised(others).numpy()
    found = network({'functionals': others}).logits / network.temperature
    decided = machine.decision_function(x)
    if classes == 2:
        decided = np.stack([-decided, decided], axis=1) / 2
    np.testing.assert_allclose(found.numpy(), decided, atol=1e-6)
    assert (found.argmax(1).numpy() == machine.predict(x)).all()
    # In float32, as a run computes, too.
    rounded = network.float()({'functionals': others.float()}).logits / network.temperature
    np.testing.assert_allclose(rounded.numpy(), decided, atol=1e-3)
    assert (rounded.argmax(1).numpy() == machine.predict(x)).mean() > 0.99


def test_functionals_are_standardised_by_the_training_clips_and_held_within_bounds():
    train = Clips(torch.tensor([[1.0, 5.0, 2.0], [3.0, 5.0, 2.0], [5.0, 5.0, 8.0], [7.0, 5.0, 8.0]]).double(),
                  torch.tensor([0, 0, 1, 1]), torch.arange(4))
    network = SvmNetwork(CONFIG, NAMES[:2], 3).double()
    network.fit(train, train)
    found = network.standardised(torch.tensor([[4.0, 9.0, 5.0], [1e6, -1e6, -1e6]]).double())
    # The second never varied: it says nothing.
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.0], [FURTHEST, 0.0, -FURTHEST]]).double())


def test_the_setting_with_the_best_validation_is_kept():
    network, train, valid = fitted()
    judged, wanted = network.standardised(valid.values).numpy(), valid.classes.numpy()
    found = {}
    for penalty in CONFIG.penalties:
        for width in CONFIG.widths:
            decisions = reference(network, train, penalty, width).decision_function(judged)
            said = decisions.argmax(1)
            ua = np.mean([np.mean(said[wanted == c] == c) for c in range(4)])
            found[penalty, width] = (-ua, fitted_scale(decisions, valid)[1]), decisions
    best = min(found, key=lambda setting: found[setting][0])
    assert network.width.item() == pytest.approx(best[1] / 6)
    decided = network({'functionals': valid.values}).logits / network.temperature
    np.testing.assert_allclose(decided.numpy(), found[best][1], atol=1e-6)


def in_windows(part, seed):
    """Of every third clip of Clips four windows beside it, all about it, its values the noisiest."""
    random = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(part.ids)), np.where(np.arange(len(part.ids)) % 3, 1, 5))
    noise = torch.from_numpy(random.normal(0, 25, (len(rows), part.values.shape[1])))
    return Clips(part.values[rows] + noise, part.classes[rows], part.ids[rows])


def test_validation_chooses_by_clips_whose_windows_are_averaged():
    config = SvmConfig(penalties=(0.1, 0.5, 4.0, 30.0), widths=(0.1, 0.3, 1.0, 3.0))
    differ = 0
    for seed in range(2, 4):
        train, valid = clips(120, 4, 2 * seed), in_windows(clips(60, 4, 2 * seed + 1), seed)
        network = SvmNetwork(config, NAMES, 6).double()
        told = network.fit(train, valid)
        judged, of_rows, of_clips = network.standardised(valid.values).numpy(), {}, {}
        for setting in itertools.product(config.penalties, config.widths):
            decisions = reference(network, train, *setting).decision_function(judged)
            chances = softmax(fitted_scale(decisions, valid)[0] * decisions, axis=1)
            means = np.stack([chances[valid.ids == clip].mean(0) for clip in range(60)])
            wanted = np.array([valid.classes[valid.ids == clip][0] for clip in range(60)])
            for found, shares, classes in ((of_rows, chances, valid.classes.numpy()), (of_clips, means, wanted)):
                said = shares.argmax(1)
                losses = -np.log(shares[np.arange(len(said)), classes])
                found[setting] = -np.mean([np.mean(said[classes == c] == c) for c in range(4)]), losses.mean()
        best = min(of_clips, key=of_clips.get)
        differ += best != min(of_rows, key=of_rows.get)
        assert told.startswith(f'C {best[0]:g}, gamma {best[1]:g} / 6, validation UA {-100 * of_clips[best][0]:.1f} %')
    assert differ


def test_windows_of_a_clip_count_as_the_clip_does():
    train, valid = clips(90, 3, 0), clips(60, 3, 1)
    # Clips of one class are long: that class must not weigh more for it.
    rows = np.repeat(np.arange(90), np.where(train.classes.numpy() == 1, 4, 1))
    network = SvmNetwork(SvmConfig(penalties=(2.0,), widths=(0.5,)), NAMES[:3], 6).double()
    network.fit(Clips(train.values[rows], train.classes[rows], train.ids[rows]), valid)
    machine = reference(network, train, 2.0, 0.5, tol=1e-6)
    found = network({'functionals': valid.values}).logits / network.temperature
    wanted = machine.decision_function(network.standardised(valid.values).numpy())
    np.testing.assert_allclose(found.numpy(), wanted, atol=0.02)


def test_the_words_say_what_was_chosen():
    train, valid = clips(80, 3, 0), clips(40, 3, 1)
    network = SvmNetwork(SvmConfig(penalties=(2.0,), widths=(0.5,)), NAMES[:3], 6)
    told = network.fit(train, valid)
    assert told.startswith('C 2, gamma 0.5 / 6, validation UA ')
    assert told.endswith(f'; {len(network.support)} support vectors')


def test_the_scale_is_where_log_loss_is_least():
    random = np.random.default_rng(0)
    decisions, wanted = random.normal(size=(400, 4)), np.empty(400, dtype=int)
    for i, shares in enumerate(softmax(3.0 * decisions, axis=1)):
        wanted[i] = random.choice(4, p=shares)
    scale, loss = fitted_scale(decisions, Clips(None, torch.from_numpy(wanted), torch.arange(400)))
    assert scale == pytest.approx(3.0, rel=0.2)
    near = [log_softmax(factor * scale * decisions, axis=1)[np.arange(400), wanted] for factor in (0.9, 1, 1.1)]
    losses = [-logs.mean() for logs in near]
    assert loss == pytest.approx(losses[1]) and losses[1] == min(losses)


def test_a_file_brings_the_number_of_its_support_vectors(tmp_path):
    network, _, valid = fitted()
    save_weights(tmp_path / 'best.safetensors', network.state_dict())
    again = SvmNetwork(CONFIG, NAMES, 6)
    assert again({'functionals': valid.values.float()}).logits.isfinite().all()
    load_weights(tmp_path / 'best.safetensors', again)
    assert {name: buffer.shape for name, buffer in again.state_dict().items()} == {
        name: buffer.shape for name, buffer in network.state_dict().items()}
    torch.testing.assert_close(again.support, network.support.float())
    other = SvmNetwork(CONFIG, NAMES, 7)
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(tmp_path / 'best.safetensors', other)
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(tmp_path / 'best.safetensors', SvmNetwork(CONFIG, NAMES[:3], 6))
