"""What a trained model used of a clip: attention, gates, the share of each view, where its answer leans on them.

The facts, as `<stem>-explained.json` holds them; times are seconds of the file, from its first sample:

    file, run            as they were named
    seconds              how long the clip is
    window               {number, of}: of a clip over data.max_seconds the first window is explained
    heard                {start, end}: what trimming and cropping left
    emotion              the likeliest class, null where dimensions are learnt
    probabilities        {class: probability}, uncalibrated; null where dimensions are learnt
    dimensions           {dimension: value} in the corpus's units, null where classes are learnt
    explained            the class, or the dimension furthest from its training mean, whose logit the rest explains
    attention            [{of, start, end, weight}]: weights sum to 1; `of` is the expert that attends, or null
    gates                {expert or view: weight}: a mean over channels where a gate has several
    layer_weights        [weight] of the encoder's layers, from its input on; empty where there are none
    branches             {view: contribution}: the explained logit less what it is with that view held at its own mean
    saliency             {view: [{start, end, weight}]}: |d logit / d view| summed over rows and SPANS equal spans,
                         as shares
    pictures             names of the pictures beside this file
"""

from dataclasses import dataclass

import numpy as np
import torch

from ser.errors import SerError
from ser.features.sequences import SequenceFrontEnd
from ser.inference.layers import frame_edges
from ser.inference.saliency import grad_cam, look, saliency
from ser.inference.timeline import SPANS, as_spans, column_edges, equal_spans, stages_of, views_over_time


@dataclass(frozen=True)
class Explanation:
    """facts: a dict for JSON (see the module). arrays: what pictures are drawn from, name -> array."""

    facts: dict
    arrays: dict
    views: tuple
    """Names of the views, in order."""


def explain(model, head, samples, waveform):
    """The Explanation of int16 (n,) samples at the front end's data rate, for a SpeechModel in eval mode on a CPU.

    head: the main task.Head. waveform: the features.waveform.Waveform of its config. Networks that see nothing over
    time (the baselines) are asked for their answer alone.

    The arrays are, for each view, `<view>` as the network saw it (images (C, S, S), sequences (rows, N), the waveform
    (T,)), `<view>_edges` float64 (columns + 1,), seconds of the clip between which the columns lie, `<view>_saliency`
    without the channel axis and, where its backbone has a last map, `<view>_gradcam` (S, S), and `<view>_course`
    (SPANS,), its saliency over time; `detail.<name>` for each of the network's details; `clip` and `sample_rate`, the
    samples as given. Raises SerError for an answer that is not finite.
    """
    names = views_over_time(model.front_end)
    stages = stages_of(waveform, samples)
    prepared = stages[-1]
    with torch.no_grad():
        views = model.views(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        plain = model.classify(views).logits[0].double()
    if not plain.isfinite().all():
        raise SerError('the model answers with numbers that are not finite. Did its training diverge?')
    classes = head.scale is None
    target = int((plain if classes else plain.abs()).argmax())
    seen = look(model.network, views, names, target)
    values = head.values(plain[None])[0].numpy()
    arrays = {'clip': stages[0].samples, 'sample_rate': np.int64(stages[0].sample_rate)}
    arrays |= _view_arrays(model.front_end, views, seen, prepared)
    arrays |= {f'detail.{name}': detail[0].float().numpy() for name, detail in seen.output.details.items()}
    shares = {name: float(value) for name, value in zip(head.names, values, strict=True)}
    start, end = prepared.start_seconds, prepared.start_seconds + prepared.seconds
    facts = {
        'seconds': stages[0].seconds, 'heard': {'start': start, 'end': end},
        'emotion': head.names[target] if classes else None, 'probabilities': shares if classes else None,
        'dimensions': None if classes else shares, 'explained': head.names[target],
        'attention': attention_spans(model, views, seen.output.details, prepared),
        'gates': gate_weights(model.network, seen.output.details),
        'layer_weights': _layer_weights(seen.output.details),
        'branches': contributions(model.network, views, names, target),
        'saliency': {name: as_spans(arrays[f'{name}_course'], np.linspace(start, end, SPANS + 1))
                     for name in names}}
    return Explanation(facts, arrays, names)


def contributions(network, views, names, target):
    """view of `names` -> what it adds to a logit: the logit, less what it is with the view held at its own mean.

    The mean is over all rows and the clip's own columns, channel by channel of an image: a view without any pattern.
    Views whose effects add up give each its own; of views that act together what they share counts for each.
    """
    with torch.no_grad():
        whole = network(views).logits[0, target]
        return {name: float(whole - network({**views, name: without_pattern(views, name)}).logits[0, target])
                for name in names}


def without_pattern(views, name):
    """A view of one clip with every value replaced by the view's mean; what lies beyond the clip's end stays."""
    x = views[name]
    if x.ndim == 4:
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x).contiguous()
    own = own_columns(views, name)
    constant = x.clone()
    constant[..., :own] = x[..., :own].mean()
    return constant


def own_columns(views, name):
    """How many columns of a view belong to the clip: all of an image's, the frames or samples of others."""
    counts = views.get('samples' if views[name].ndim == 2 else 'frames')
    return views[name].shape[-1] if views[name].ndim == 4 or counts is None else int(counts[0])


def gate_weights(network, details):
    """The network's gates as {expert or view: weight}: of experts the gate's own softmax; of two fused views the
    weight of each, a mean over channels."""
    names = list(getattr(network, 'experts', ())) or list(getattr(network, 'backbones', ()))
    if 'gate_1' in details:
        return dict(zip(names, (float(details[key][0].mean()) for key in ('gate_1', 'gate_2')), strict=True))
    if 'gate' not in details:
        return {}
    gate = details['gate'][0].float()
    if hasattr(network, 'experts'):
        return dict(zip(names, gate.tolist(), strict=True))
    # g of the first view and 1 - g of the second.
    return dict(zip(names, (float(gate.mean()), float(1 - gate.mean())), strict=True))


def attention_spans(model, views, details, prepared):
    """Details 'attention' and 'attention.<expert>' (1, T') over time as dicts: of, start, end (seconds of the clip)
    and weight. Attention of views to each other has another shape and is left out."""
    spans = []
    for name, detail in details.items():
        first, _, expert = name.partition('.')
        if first != 'attention' or detail.ndim != 2 or not isinstance(model.front_end, SequenceFrontEnd):
            continue
        edges = attention_edges(model, views, expert, detail.shape[1], prepared)
        weights = detail[0, :len(edges) - 1].float().numpy()
        spans += as_spans(weights, np.clip(edges, 0.0, prepared.seconds), prepared.start_seconds, of=expert or None)
    return spans


def attention_edges(model, views, expert, count, prepared):
    """Where the clip's own of `count` weights lie: float64 (own + 1,) seconds from the prepared clip's first sample.

    Over spectra each stands for as many frames as were pooled into one, which are centred on their samples.
    """
    front_end, network = model.front_end, model.network
    spectra = [name for name in front_end.wanted if expert in ('', name)]
    if not spectra:
        return frame_edges(network.encoder, views['samples'], prepared.sample_rate)
    stride = getattr(network, 'stride', None) or -(-views[spectra[0]].shape[-1] // count)
    own = -(-int(views['frames'][0]) // stride)
    return (np.arange(own + 1) * stride - 0.5) * front_end.hop_length / front_end.waveform.sample_rate


def _layer_weights(details):
    return details['layer_weights'][0].float().tolist() if 'layer_weights' in details else []


def _view_arrays(front_end, views, seen, prepared):
    arrays = {}
    for name, gradient in seen.gradients.items():
        own, strength = own_columns(views, name), saliency(gradient)
        edges = column_edges(front_end, name, gradient.shape[-1], len(prepared.samples))[:own + 1]
        strength = strength[..., :own].numpy()
        over_rows = strength.sum(axis=0) if strength.ndim == 2 else strength
        arrays[name], arrays[f'{name}_saliency'] = views[name][0, ..., :own].numpy(), strength
        arrays[f'{name}_edges'] = edges + prepared.start_seconds
        arrays[f'{name}_course'] = equal_spans(over_rows, edges, 0.0, prepared.seconds)
        if name in seen.maps:
            arrays[f'{name}_gradcam'] = grad_cam(*seen.maps[name], size=gradient.shape[1:]).numpy()
    return arrays
