"""A run as a folder of transformers, read back with transformers and compared with the run before it gets its name."""

import torch

from ser.exporting.graph import FACTS
from ser.exporting.parity import compare_alone
from ser.files import write_json
from ser.models.encoder_loading import quietly, transformers
from ser.models.ssl_export import export_transformers


def write_folder(subject, out):
    """Write the Subject's folder `out`, facts inside as FACTS; returns (facts, what was measured, notes for its user).

    Raises SerError as export_transformers does, and for a folder that would not say what the run says; then there is
    none.
    """
    facts, found = _facts(subject), {}

    def finish(folder):
        write_json(folder / FACTS, facts)
        found.update(compare_alone(_reader(subject, folder), subject.values, subject.clips, subject.scale))
        found['bytes'] = sum(path.stat().st_size for path in folder.iterdir())

    notes = export_transformers(subject.config, subject.names, subject.model, out, finish)
    return facts, found, notes


def _facts(subject):
    """facts_of, of logits of one clip at the rate of the encoder."""
    rate, classes = subject.config.features.sample_rate, len(subject.names)
    meaning = 'softmax(logits / temperature) are probabilities' if subject.head.scale is None else (
        'logits * std + mean of units are values')
    summary = subject.facts['summary'].rpartition(',')[0]
    return subject.facts | {
        'summary': f'{summary}, {rate} Hz to logits', 'sample_rate': rate, 'output': 'logits',
        'signature': f'input_values float32 (1, samples) of the preprocessor, mono, {rate} Hz -> logits float32 '
                     f'(1, {classes}); {meaning}'}


def _reader(subject, folder):
    """(waveforms, lengths) of one clip -> values, of the folder as transformers reads it, after the run's own stages
    of the waveform."""
    library = transformers()
    with quietly():
        model = library.AutoModelForAudioClassification.from_pretrained(folder).eval()
        extractor = library.AutoFeatureExtractor.from_pretrained(folder)
    stages, rate = subject.model.front_end.waveform, subject.config.features.sample_rate

    @torch.inference_mode()
    def run(waveforms, lengths):
        samples, kept = stages(torch.from_numpy(waveforms), torch.from_numpy(lengths))
        inputs = extractor(samples[0, :int(kept)].numpy(), sampling_rate=rate, return_tensors='pt')
        values = subject.head.values(model(**inputs).logits).numpy()
        return subject.calibration.apply(values) if subject.calibration else values

    return run
