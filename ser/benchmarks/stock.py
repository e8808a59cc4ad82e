"""nnAudio's and torchaudio's layers in place of ser's transforms."""

from ser.benchmarks import rivals
from ser.benchmarks.parts import device_batch, feature_case, front_end_of, images_of


def stock_case(options, batch, stage, implementation):
    """The Case of a stock implementation of 'cqt', 'mel' or 'front_end', in this process: what ser's commands ask of
    the allocator serves them as well."""
    return feature_case(options, batch, stage, implementation,
                        lambda stack: stock_call(options, batch, stage, implementation))


def stock_call(options, batch, stage, implementation):
    """A call: power of made clips on the device, or for 'front_end' their images, which are ser's of that power."""
    features, device = options.config.features, options.device
    data = device_batch(options, batch)
    # Their layers give every frame, not those alone that the image shows.
    front_end = front_end_of(options, (stage,) if stage in ('cqt', 'mel') else None, every_frame=True)
    mel = rivals.stock_mel(features).to(device)
    cqt = rivals.nnaudio_cqt(implementation, features).to(device) if implementation in rivals.NNAUDIO else front_end.cqt
    layer = {'cqt': cqt, 'mel': mel}.get(stage)
    if layer is not None:
        samples = front_end.waveform(data.waveforms, data.lengths)[0]
        return lambda: layer(samples)

    def call():
        samples, lengths = front_end.waveform(data.waveforms, data.lengths)
        power = cqt(samples) if cqt is front_end.cqt else cqt(samples).square()
        return images_of(front_end, {'mel': mel(samples), 'cqt': power}, samples, lengths)

    return call
