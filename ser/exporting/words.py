"""What people are told of an export."""

from ser.evaluation.tables import counted
from ser.files import size_text


def lines_of(out, facts, found, left_out=()):
    """Yield lines on a file or folder `out`. facts: of facts_of. found: the content of its parity file. left_out: heads
    of the run that it does not have."""
    yield f"{out}: written, {size_text(found['bytes'])}, {facts['sample_rate']} Hz, {_calibrated(facts)}"
    yield _parity(found)
    if found.get('changed_decisions'):
        yield (f"WARNING: {found['changed_decisions']} of {found['clips']} decisions differ from the trained engine's "
               f"(margins there: {', '.join(f'{margin:.1e}' for margin in found['margins_of_changed'])})")
    elif 'changed_decisions' in found:
        yield f"decisions changed: 0 of {found['clips']}"
    latency = found['latency_ms']
    yield (f"latency on one core: {latency['median']:.1f} ms a clip of "
           f"{latency['median_clip_samples'] / found['clip_rate']:.1f} s (median; at most {latency['slowest']:.1f}), "
           f"{latency['processor_median']:.1f} ms of it the processor's")
    if left_out:
        yield f"note: heads left out: {', '.join(left_out)}"


def _calibrated(facts):
    logits = facts['output'] == 'logits'
    if facts['task'] != 'emotion':
        return 'logits (times std, plus mean of ser.json)' if logits else "in the corpus's units"
    if not facts['calibrated']:
        return 'uncalibrated'
    return f"{'logits to be divided by the' if logits else 'calibrated,'} temperature {facts['temperature']:.3f}"


def _parity(found):
    unit = 'in deviations of the labels' if 'changed_decisions' not in found else 'in probability'
    parts = [f"{words} {found[key]['max']:.1e}" for key, words in (
        ('exported_against_eager', 'against eager'), ('alone_against_padded_batch', 'alone against padded'),
        ('exported_against_trained', 'against the trained engine')) if key in found]
    return (f"parity on {counted(found['clips'], 'clip')} of {found['source']}, {unit}: {', '.join(parts)} "
            f"(mean {found['exported_against_trained']['mean']:.1e})")
