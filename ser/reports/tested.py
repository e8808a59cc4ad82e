"""A run's own test part again, clip by clip: the audio behind its scores, and its model to score changed audio."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.evaluation.predictions import Predictions
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_split
from ser.evaluation.sides import run_predictions
from ser.evaluation.tables import counted
from ser.shards.batch import padded_length
from ser.shards.index import Index, build_index
from ser.shards.labelling import label_index
from ser.shards.reader import EvaluationBatches, windows
from ser.training.device import choose_device, network_dtype
from ser.training.evaluate import autocast
from ser.training.rebuild import load_run
from ser.training.run import open_run

FEWEST_SAME = 0.95
"""Of clips as they are, so many decisions must be those of predictions.csv. Another device or precision moves a few
that hang in the balance; other audio, or other weights, moves many."""


@dataclass(frozen=True)
class Tested:
    """The N clips that a run was tested on, in the order of predictions.csv.

    index: of the shards that hold them. rows: their row numbers. same_data: whether the shards are those that the run
    was trained on, by digest; False where others hold the same clips.
    """

    run: Path
    config: object
    predictions: Predictions
    index: Index
    rows: tuple
    same_data: bool

    def clips(self, places):
        """Yield int16 (n,) samples at data.sample_rate of the clips at `places` (of rows), one after the other.

        Raises SerError for audio that is damaged.
        """
        # Whole, however long: they are cut into windows after they were changed.
        data = self.config.data.model_copy(update={'max_seconds': 1e6})
        reader = EvaluationBatches(self.index, data, self.predictions.names)
        try:
            for place in places:
                batch, = reader((self.rows[place],))
                yield batch.waveforms[0, :int(batch.lengths[0])].numpy()
        finally:
            reader.close()

    def shard_names(self):
        """Names of the tars that hold the clips, in order."""
        return [self.index.shards[number].name for number in sorted({self.index.rows[row].shard for row in self.rows})]

    def check_same(self, places, probabilities):
        """Of clips as they are: how many of the probabilities (n, C) at `places` decide otherwise than
        predictions.csv.

        Raises SerError where they are too many for another device to explain.
        """
        changed = int((probabilities.argmax(axis=1) != self.predictions.predicted_ids[np.asarray(places)]).sum())
        if changed > max(1, (1 - FEWEST_SAME) * len(places)):
            raise SerError(f'{self.run}: of {counted(len(places), "test clip")} the model now decides {changed} '
                           'otherwise than predictions.csv says: the weights or the audio are not those of the run. '
                           'Name the shards that it was trained on with --shards')
        return changed


def open_tested(run, shards=None):
    """The Tested of a run directory.

    shards: patterns as data.shards, in place of those that its config names. Raises SerError for a folder that is no
    finished run, one that predicts dimensions, shards that are not at hand, and shards in which a test clip is missing
    or labelled otherwise.
    """
    run = Path(run)
    config, names = open_run(run)
    if read_task(run):
        raise SerError(f'{run}: predicts dimensions; only runs that tell classes apart are looked at this closely')
    members = {member.key: member for member in read_split(run, names) if member.part == 'test'}
    predictions = run_predictions(run, names)
    data = config.data
    if shards is not None:
        data = data.model_copy(update={'shards': tuple(shards), 'valid_shards': (), 'test_shards': ()})
    try:
        index = build_index(data)
    except SerError as error:
        raise SerError(f'{run}: the audio of its test part is not at hand ({error}). Name the shards that it was '
                       'trained on with --shards') from None
    labelled = label_index(index, data, names)
    number_of = {row.key: number for number, row in enumerate(labelled.index.rows)}
    _check_members(run, members, predictions, labelled.index, number_of)
    same = index.digest == read_json(run / 'data.json', dict).get('digest')
    return Tested(run, config, predictions, labelled.index, tuple(number_of[key] for key in predictions.keys), same)


def _check_members(run, members, predictions, index, number_of):
    odd = set(members) ^ set(predictions.keys)
    if odd:
        raise SerError(f'{run / "predictions.csv"}: its clips are not the test part of split.csv, for one {min(odd)}. '
                       'Start a new run')
    missing = [key for key in predictions.keys if key not in number_of]
    if missing:
        raise SerError(f'{run}: {len(missing)} of {counted(len(members), "test clip")} are not in these shards, for '
                       f'one {missing[0]}. Name all the shards that the run was trained on with --shards')
    for key, member in members.items():
        found = index.rows[number_of[key]].emotion
        if found != member.label:
            raise SerError(f'{run}: test clip {key} is {found or "of no class"} in these shards, split.csv says '
                           f'{member.label}. Name the shards that the run was trained on with --shards')


class Scorer:
    """A run's model on a device, for clips that are changed before it hears them."""

    def __init__(self, run, device='auto'):
        """Raises SerError for a run that cannot be loaded and a device that is not there."""
        self.device, _ = choose_device(device)
        self.config, self.names, model = load_run(run)
        self.model = model.to(self.device)
        self.dtype = network_dtype(self.config.training.precision, self.device)

    def probabilities(self, clips):
        """float64 (N, C), uncalibrated, of N clips, each int16 (n,) or float32 (n,) in [-1, 1] at data.sample_rate.

        A clip over data.max_seconds is the mean of its windows, as in evaluation. Raises SerError for numbers that
        are not finite.
        """
        data, size = self.config.data, self.config.evaluation.batch_size
        pieces = [(number, piece) for number, clip in enumerate(clips)
                  for piece in windows(clip, data.max_seconds, data.sample_rate)]
        # Equal lengths side by side: little of a batch is padding.
        pieces.sort(key=lambda numbered: len(numbered[1]))
        sums, counts = np.zeros((len(clips), len(self.names))), np.zeros(len(clips))
        for start in range(0, len(pieces), size):
            numbers, batch = zip(*pieces[start:start + size], strict=True)
            np.add.at(sums, list(numbers), self._batch(batch))
            np.add.at(counts, list(numbers), 1)
        return sums / counts[:, None]

    @torch.inference_mode()
    def _batch(self, clips):
        lengths = torch.tensor([len(clip) for clip in clips])
        total = padded_length(int(lengths.max()), self.config.data.sample_rate)
        waveforms = torch.zeros(len(clips), total, dtype=torch.from_numpy(clips[0][:0]).dtype)
        for row, clip in zip(waveforms, clips, strict=True):
            row[:len(clip)] = torch.from_numpy(clip)
        views = self.model.views(waveforms.to(self.device), lengths.to(self.device))
        with autocast(self.device, self.dtype):
            logits = self.model.classify(views).logits
        if not logits.isfinite().all():
            raise SerError('the model answers with numbers that are not finite. Did its training diverge?')
        return logits.float().cpu().double().softmax(1).numpy()
