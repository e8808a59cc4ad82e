"""The page for Prometheus: valid, cumulative, complete."""

import re

from ser.serving.counters import Metrics, resident_bytes

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="[^"\\\n]*",?)*\})? (-?[0-9.e+-]+)')


def samples(text):
    """[(name, labels, value)] of the text exposition format; fails where it is not valid."""
    typed, found = {}, []
    assert text.endswith('\n')
    for line in text.splitlines():
        if line.startswith('# '):
            _, kind, name, words = line.split(' ', 3)
            assert kind in ('HELP', 'TYPE') and words
            if kind == 'TYPE':
                assert name not in typed and words in ('counter', 'gauge', 'histogram')
                typed[name] = words
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        family = name if name in typed else re.sub('_(bucket|sum|count)$', '', name)
        assert typed[family] != 'histogram' or name != family
        found.append((name, labels or '', float(value)))
    assert len({(name, labels) for name, labels, _ in found}) == len(found)
    return found


def test_what_happened_is_counted():
    metrics = Metrics()
    metrics.request('/predict', 200, 0.03)
    metrics.request('/predict', 200, 0.1)
    metrics.request('/predict', 429, 0.001)
    metrics.request('other', 404, 99)
    for clips in (1, 3, 100):
        metrics.batch(clips)
    metrics.drop()
    values = {(name, labels): value for name, labels, value in samples(metrics.text(ser_queue_length=(7, 'Waiting.')))}
    assert values['ser_requests_total', '{route="/predict",status="200"}'] == 2
    assert values['ser_requests_total', '{route="/predict",status="429"}'] == 1
    assert values['ser_clips_total', ''] == 104 and values['ser_dropped_total', ''] == 1
    assert values['ser_queue_length', ''] == 7
    buckets = [values['ser_batch_clips_bucket', f'{{le="{edge}"}}'] for edge in (1, 2, 4, 64, '+Inf')]
    assert buckets == [1, 1, 2, 2, 3] and values['ser_batch_clips_count', ''] == 3
    route = 'route="/predict"'
    # A bound holds what is equal to it.
    assert values['ser_request_seconds_bucket', f'{{{route},le="0.1"}}'] == 3
    assert values['ser_request_seconds_bucket', f'{{{route},le="0.05"}}'] == 2
    assert abs(values['ser_request_seconds_sum', f'{{{route}}}'] - 0.131) < 1e-9
    assert metrics.counts() == (4, 2, 104)


def test_nothing_happened_yet():
    assert ('ser_clips_total', '', 0.0) in samples(Metrics().text())


def test_memory_is_told_where_the_system_knows_it():
    assert resident_bytes() is None or resident_bytes() > 1 << 20
