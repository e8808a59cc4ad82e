"""What networks that are fitted at once refuse, and what they share."""

import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.models import build_model
from ser.models.fitted import Clips

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
def test_further_heads_are_refused(kind):
    with pytest.raises(SerError, match=rf'model\.kind {kind}: this baseline has one head, and task\.auxiliary names g'):
        model_of(kind, auxiliary={'gender': ('female', 'male')})


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('classes', 'lacking'),
                         [([1, 1, 1, 1], 'neutral, sad'), ([0, 1], 'sad'), ([2], 'neutral, happy')],
                         ids=['one class', 'fewer clips than classes', 'one clip'])
def test_a_class_without_a_clip_is_said(kind, classes, lacking):
    network = model_of(kind).network
    clips = Clips(torch.zeros(len(classes), 4), torch.tensor(classes))
    told = rf"\({len(classes)} clips for 3 classes\) has no clip of {lacking}: draw other parts, or leave the class out"
    with pytest.raises(SerError, match=rf"{told}: --set data\.drop='\[{lacking}\]'"):
        network.fit(clips, clips)


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_learns_by_steps(kind):
    model = model_of(kind)
    model.set_gradient_checkpointing(True)
    assert model.parts() == {} and not list(model.parameters())
