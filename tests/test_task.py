import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.config.schema import Config
from ser.errors import SerError
from ser.models.contract import Output
from ser.shards.index import build_index
from ser.training.evaluate import Evaluated
from ser.training.objective import Objective
from ser.training.task import labelled_for, main_head, make_task, validate
from tests.shard_factory import sample, write_tar

ACCENTS = ('north', 'south', None)


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('task')
    members = []
    for i in range(12):
        emotion = ('happy', 'sad')[i % 2]
        members += sample(f'k{i:02d}', i, seconds=0.05, emotion=emotion, raw_label=emotion, accent=ACCENTS[i % 3],
                          votes={'happy': 1 + i % 2, 'sad': 1}, arousal=float(i), valence=float(i % 4), same=1.0)
    write_tar(folder / 'a.tar', members)
    return str(folder)


def made(shards, *assignments, rows=range(12)):
    config = load_config(('base',), [f'data.shards=[{shards}]', *assignments])
    labelled = labelled_for(build_index(config.data), config)
    return make_task(labelled, config, np.array(rows)), config


def objective(task, config):
    return Objective(task, config.training.loss, [6, 6], np.arange(12))


def batch(task, rows):
    """Targets as readers give them."""
    columns = {name: torch.from_numpy(column[rows]) for name, column in task.columns.items()}
    return {'emotion': torch.tensor([row % 2 for row in rows]), **columns}


def test_one_head_without_further_targets(shards):
    task, config = made(shards)
    assert (task.names, task.labels, task.columns, task.auxiliary) == (('happy', 'sad'), ('happy', 'sad'), {}, {})
    assert task.facts() is None
    logits, targets = torch.randn(4, 2), batch(task, [0, 1, 2, 3])
    found = objective(task, config)
    totals = found.totals(Output(logits, {}, {}), targets, torch.ones(4))
    weights = found.weights(targets, torch.ones(4))
    expected = torch.nn.functional.cross_entropy(logits, targets['emotion'])
    assert torch.allclose(found.joined(totals, weights), expected)


def test_auxiliary_losses_are_means_over_the_clips_that_know(shards):
    task, config = made(shards, 'task.auxiliary={accent: {weight: 0.8, class_weights: {north: 2}}}')
    assert task.auxiliary == {'accent': ('north', 'south')}
    rows, found = [0, 1, 2, 4], objective(task, config)
    targets, output = batch(task, rows), Output(torch.randn(4, 2), {'accent': torch.randn(4, 2)}, {})
    joined = found.joined(found.totals(output, targets, torch.ones(4)), found.weights(targets, torch.ones(4)))
    # Rows 0 and 1 and 4 know their accent (north, south, south), row 2 does not.
    known = torch.tensor([0, 1, 3])
    accent = torch.nn.functional.cross_entropy(output.auxiliary['accent'][known], torch.tensor([0, 1, 1]),
                                               weight=torch.tensor([2.0, 1.0]))
    emotion = torch.nn.functional.cross_entropy(output.logits, targets['emotion'])
    assert torch.allclose(joined, emotion + 0.8 * accent)


def test_micro_batches_sum_to_the_whole_batch(shards):
    task, config = made(shards, 'task.auxiliary={accent: {}}', 'task.soft_labels=true')
    found, rows, weights = objective(task, config), list(range(6)), torch.ones(6)
    output = Output(torch.randn(6, 2), {'accent': torch.randn(6, 2)}, {})
    part = [slice(0, 2), slice(2, 6)]
    whole = found.weights(batch(task, rows), weights)
    parts = [(batch(task, rows[cut]), weights[cut],
              Output(output.logits[cut], {'accent': output.auxiliary['accent'][cut]}, {})) for cut in part]
    assert torch.allclose(sum(found.weights(targets, w) for targets, w, _ in parts), whole)
    joined = sum(found.joined(found.totals(out, targets, w), whole) for targets, w, out in parts)
    assert torch.allclose(joined, found.joined(found.totals(output, batch(task, rows), weights), whole))


def test_a_step_in_which_nobody_knows_a_target_is_finite(shards):
    task, config = made(shards, 'task.auxiliary={accent: {}}')
    found, targets = objective(task, config), batch(task, [2, 5])
    output = Output(torch.randn(2, 2, requires_grad=True), {'accent': torch.randn(2, 2, requires_grad=True)}, {})
    joined = found.joined(found.totals(output, targets, torch.ones(2)), found.weights(targets, torch.ones(2)))
    joined.backward()
    assert joined.isfinite() and (output.auxiliary['accent'].grad == 0).all()


def test_votes_are_learnt_in_place_of_labels(shards):
    task, config = made(shards, 'task.soft_labels=true')
    assert task.columns['votes'][:2].tolist() == [[.5, .5], [pytest.approx(2 / 3), pytest.approx(1 / 3)]]
    found, targets, logits = objective(task, config), batch(task, [0, 1]), torch.randn(2, 2)
    expected = torch.nn.functional.cross_entropy(logits, targets['votes'])
    weights = found.weights(targets, torch.ones(2))
    assert torch.allclose(found.joined(found.totals(Output(logits, {}, {}), targets, torch.ones(2)), weights), expected)


def test_dimensions_are_learnt_standardised_by_the_training_part_and_said_in_their_units(shards):
    task, config = made(shards, 'task.kind=dimensions', 'task.dimensions=[arousal, valence]', rows=range(8))
    assert config.training.loss.kind == 'ccc' and task.labels == ('low', 'middle', 'high')
    facts = task.facts()
    assert facts['names'] == ['arousal', 'valence'] and facts['unit'] == [[0, 7], [0, 3]]
    assert np.allclose(facts['mean'], [3.5, 1.5]) and np.allclose(facts['std'], [np.std(range(8)), np.std(range(4))])
    values = task.heads[0].values(torch.tensor([[0.0, 0.0], [1.0, -1.0]])).numpy()
    assert np.allclose(values, [facts['mean'], np.add(facts['mean'], np.multiply(facts['std'], [1, -1]))])
    found, targets = objective(task, config), batch(task, [0, 3, 5, 9])
    exact = (targets['dimensions'] - torch.tensor(facts['mean'])) / torch.tensor(facts['std'])
    assert found.totals(Output(exact.float(), {}, {}), targets, torch.ones(4)).abs().max() < 1e-5
    assert main_head(task.names, facts).values(torch.zeros(1, 2)).tolist() == [facts['mean']]


@pytest.mark.parametrize(('assignments', 'message'), [
    (['task.kind=dimensions', 'training.loss.kind=focal'], "'focal' does not go with .*'dimensions'. It takes ccc"),
    (['training.loss.kind=ccc'], "'ccc' does not go with task.kind 'emotion'"),
    (['task.kind=dimensions', 'task.dimensions=[same]'], "'same' is the same in every training clip"),
    (['task.kind=dimensions', 'task.dimensions=[arousel]'], "Did you mean 'arousal'"),
    (['task.auxiliary={gender: {}}'], "task.auxiliary.gender: JSON 'gender' is in no training clip"),
    (['task.auxiliary={emotion: {key: accent}}'], "'emotion' cannot name a target"),
    (['task.auxiliary={Validation: {key: accent}}'], "'Validation' cannot name a target"),
    (['task.auxiliary={my accent: {key: accent}}'], "'my accent' cannot name a target"),
    (['task.auxiliary={items: {key: accent}}'], "'items' cannot name a target"),
])
def test_what_does_not_fit_is_refused(shards, assignments, message):
    with pytest.raises(SerError, match=message):
        made(shards, *assignments)


def test_votes_for_a_label_without_clips_of_its_own_are_merged_as_well(tmp_path):
    write_tar(tmp_path / 'a.tar', [member for i, emotion in enumerate(('neutral', 'sad')) for member in sample(
        f'k{i}', i, seconds=0.05, emotion=emotion, raw_label=emotion, votes={'calm': 1, 'sad': 1, 'boredom': 2})])
    task, _ = made(tmp_path, 'task.soft_labels=true', 'data.labels=six', rows=range(2))
    assert task.names == ('neutral', 'sad') and task.columns['votes'].tolist() == [[.5, .5], [.5, .5]]


def test_soft_labels_need_votes(tmp_path):
    write_tar(tmp_path / 'a.tar', [m for i, e in enumerate(('happy', 'sad')) for m in sample(f'k{i}', i, emotion=e)])
    with pytest.raises(SerError, match="task.soft_labels: no clip has 'votes'"):
        made(str(tmp_path), 'task.soft_labels=true', rows=range(2))


def test_weights_of_an_unknown_value_name_the_target(shards):
    task, config = made(shards, 'task.auxiliary={accent: {class_weights: {nort: 2}}}')
    with pytest.raises(SerError, match="task.auxiliary.accent.class_weights: no class 'nort'.*Did you mean 'north'"):
        objective(task, config)


def test_validation_picks_by_ua_or_by_the_mean_ccc(shards):
    task, _ = made(shards)
    probabilities = np.array([[.9, .1], [.2, .8], [.6, .4], [.3, .7]])
    said = validate(task, Evaluated(np.arange(4), (np.array([0, 1, 1, 1]),), (probabilities,)))
    assert said.value == said.row['valid_ua'] == pytest.approx((1 + 2 / 3) / 2) and said.row['valid_wa'] == 0.75
    assert said.loss == pytest.approx(-np.log([.9, .8, .4, .7]).mean()) and 'UA 83.3 %' in said.text
    task, _ = made(shards, 'task.kind=dimensions', 'task.dimensions=[arousal]')
    truth = np.arange(6.0)[:, None]
    said = validate(task, Evaluated(np.arange(6), (truth,), (truth,)))
    assert (said.value, said.loss, said.row) == (1.0, 0.0, {'valid_loss': 0.0, 'valid_ccc': 1.0})


def test_every_default_is_the_single_emotion_head():
    assert Config().task.kind == 'emotion' and Config().training.loss.kind == 'cross_entropy'
    assert (main_head(('a', 'b'), None).target, main_head(('a', 'b'), None).scale) == ('emotion', None)
