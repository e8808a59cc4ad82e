"""Reading as a user of plain webdataset writes it: stream the tars, decode FLAC with soundfile, pad, batch, load.

Nothing is checked, shuffled or resumable; the labels are looked up by key, which costs less than parsing JSON.
"""

import io
import sys

import numpy as np
import soundfile
import soxr
import torch
import webdataset as wds

from ser.shards.batch import padded_length
from ser.shards.shard_scan import AUDIO


class WebDatasetReader:
    """Batches of (int16 (B, T), lengths, class numbers, keys) of all clips of some tars, `passes` times over.

    paths: the tars. rate: Hz. labels: key -> class number. Iterate it again and again; workers stay until close().
    Where there are fewer tars than workers, the workers beyond have nothing to do.
    """

    def __init__(self, paths, batch, rate, labels, workers, *, passes=1, prefetch=4):
        self.rate, self.labels = rate, labels
        # Without empty_check a worker that gets no shard, of fewer shards than workers, is no error.
        dataset = wds.WebDataset([str(path) for path in paths], shardshuffle=False, empty_check=False)
        dataset = dataset.map(self.decoded).repeat(nepochs=passes).batched(batch, collation_fn=self.padded)
        options = {}
        if workers:
            options = {'prefetch_factor': prefetch, 'persistent_workers': True,
                       'multiprocessing_context': 'fork' if sys.platform == 'linux' else None}
        self.loader = wds.WebLoader(dataset, batch_size=None, num_workers=workers, **options)

    def __iter__(self):
        return iter(self.loader)

    def decoded(self, sample):
        """(int16 (n,), class number, key) of a raw sample."""
        audio = next(content for name, content in sample.items() if name in AUDIO)
        samples, rate = soundfile.read(io.BytesIO(audio), dtype='int16')
        if samples.ndim == 2:
            samples = samples.mean(axis=1).astype(np.int16)
        if rate != self.rate:
            samples = soxr.resample(samples, rate, self.rate)
        return samples, self.labels[sample['__key__']], sample['__key__']

    def padded(self, rows):
        """A batch of decoded samples."""
        lengths = [len(samples) for samples, _, _ in rows]
        waveforms = np.zeros((len(rows), padded_length(max(lengths), self.rate)), np.int16)
        for place, (samples, _, _) in enumerate(rows):
            waveforms[place, :len(samples)] = samples
        return (torch.from_numpy(waveforms), torch.tensor(lengths), torch.tensor([target for _, target, _ in rows]),
                [key for _, _, key in rows])

    def close(self):
        """Stop the workers."""
        iterator = getattr(self.loader.pipeline[0], '_iterator', None)
        if iterator is not None:
            self.loader.pipeline[0]._iterator = None
            iterator._shutdown_workers()
