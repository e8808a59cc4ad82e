"""What networks that are fitted at once refuse, and what they share; clips and their windows."""

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.models import build_model, check_fit
from ser.models.fitted import Clips, changed_training

NAMES = ('neutral', 'happy', 'sad')
KINDS = ('majority', 'svm')


def model_of(kind, *assignments, auxiliary=None):
    small = ('data.sample_rate=16000', 'features.sample_rate=16000', f'model.kind={kind}')
    return build_model(load_config(('base',), (*small, *assignments), {}), NAMES, auxiliary=auxiliary)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('assignment', 'told'), [
    ('task={kind: dimensions}', r'this baseline learns classes, and task\.kind is dimensions\. Use task\.kind emotion'),
    ('augment.mixup.alpha=0.2', r'hears every training clip once, as it is\. Leave out the keys of augment'),
    ('augment.spec_augment={kind: masks}', r'Leave out the keys of augment'),
    ('data.balance=class', r'takes every training clip once, and data\.balance is class\. Set data\.balance=none'),
    ('task.soft_labels=true', r'not shares of votes\. Set task\.soft_labels=false')])
def test_what_it_cannot_follow_is_refused(kind, assignment, told):
    with pytest.raises(SerError, match=f'model.kind {kind}: .*{told}'):
        model_of(kind, assignment)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('assignment', 'key'), [
    ('training.loss={kind: focal, gamma: 3, label_smoothing: 0.3, class_weights: {happy: 100}}', 'loss'),
    ('training.loss.label_smoothing=0.1', 'loss'), ('training.loss.contrastive={weight: 0.1}', 'loss'),
    ('training.ema=0.5', 'ema'), ('training.optimizer.lr=0.1', 'optimizer'), ('training.clip_norm=null', 'clip_norm'),
    ('training.schedule={kind: constant}', 'schedule')])
def test_how_to_learn_by_steps_is_refused_and_not_ignored(kind, assignment, key):
    config = load_config(('base',), (f'model.kind={kind}', assignment), {})
    told = (rf'^model\.kind {kind}: this baseline is fitted at once, not by steps, and does not follow '
            rf'training\.{key}\. Leave such keys out: it learns from data, protocol, features and model alone; or')
    with pytest.raises(SerError, match=told):
        check_fit(config)
    # A run that was fitted before they were refused is still built.
    assert build_model(config, NAMES, load_pretrained=False).network.names == NAMES


def test_several_such_keys_are_named_together():
    config = load_config(('majority',), ('training.ema=0.5', 'training.loss.label_smoothing=0.1'), {})
    with pytest.raises(SerError, match=r'does not follow training\.loss, training\.ema\. Leave'):
        check_fit(config)


@pytest.mark.parametrize('kind', KINDS)
def test_how_long_and_with_what_means_changes_nothing_and_is_let_be(kind):
    config = load_config((kind,), (
        'training.epochs=3', 'training.batch_size=8', 'training.patience=null', 'training.precision=float32',
        'training.checkpoint_steps=5', 'training.loss.label_smoothing=0.0', 'evaluation.bootstrap=9'), {})
    check_fit(config)
    assert changed_training(config) == ['epochs', 'patience', 'precision', 'checkpoint_steps']
    assert changed_training(load_config((kind,))) == []


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('corpus', ['emodb', 'ravdess', 'iemocap'])
def test_it_goes_with_the_corpora_presets(kind, corpus, tmp_path):
    for number, order in enumerate(((kind, corpus), (corpus, kind))):
        path = tmp_path / f'{number}.yaml'
        path.write_text(f'extends: [{", ".join(order)}]\n')
        config = load_config((str(path),))
        assert config.model.kind == kind
        check_fit(config)


def test_windows_of_a_clip_count_once_and_their_probabilities_are_averaged():
    clips = Clips(torch.zeros(6, 2), torch.tensor([1, 1, 1, 0, 2, 2]), torch.tensor([4, 4, 4, 7, 9, 9]))
    assert clips.starts.tolist() == [0, 3, 4] and clips.windows.tolist() == [3, 1, 2]
    assert clips.labels.tolist() == [1, 0, 2]
    np.testing.assert_allclose(clips.shares, [1 / 3] * 3 + [1] + [1 / 2] * 2)
    chances = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    wanted = [chances[:3].mean(0), chances[3], chances[4:].mean(0)]
    np.testing.assert_allclose(np.exp(clips.joined(np.log(chances))), wanted)
    # Where every clip is a row, nothing is computed anew.
    logs = np.log(chances)
    single = Clips(clips.values, clips.classes, torch.arange(6))
    assert (single.joined(logs) == logs).all() and (single.shares == 1).all()


@pytest.mark.parametrize('kind', KINDS)
def test_further_heads_are_refused(kind):
    with pytest.raises(SerError, match=rf'model\.kind {kind}: this baseline has one head, and task\.auxiliary names g'):
        model_of(kind, auxiliary={'gender': ('female', 'male')})


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('classes', 'lacking'),
                         [([1, 1, 1, 1], 'neutral, sad'), ([0, 1], 'sad'), ([2], 'neutral, happy')],
                         ids=['one class', 'fewer clips than classes', 'one clip'])
def test_a_class_without_a_clip_is_said(kind, classes, lacking):
    network = model_of(kind).network
    clips = Clips(torch.zeros(len(classes), 4), torch.tensor(classes), torch.arange(len(classes)))
    told = rf"\({len(classes)} clips for 3 classes\) has no clip of {lacking}: draw other parts, or leave the class out"
    with pytest.raises(SerError, match=rf"{told}: --set data\.drop='\[{lacking}\]'"):
        network.fit(clips, clips)


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_learns_by_steps(kind):
    model = model_of(kind)
    model.set_gradient_checkpointing(True)
    assert model.parts() == {} and not list(model.parameters())
