"""Readers under made-up and mangled input: SerError, or a good answer, and nothing else.

`python -m tests.fuzz` does the same with feedback from the code's coverage, for as long as is wanted.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz_targets import TARGETS, seeds

ROOT = Path(__file__).resolve().parent.parent
SEEDS = {target: seeds(target) for target in TARGETS}
EXAMPLES = {'index': 60, 'label': 300, 'audio': 60, 'config': 20}
quick = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(['emotion', 'label', 'name', 'valence']) | st.text(), inner, max_size=4),
                    max_leaves=12)


@st.composite
def mangled(draw, target):
    """A good input with spans overwritten, cut out, repeated and moved."""
    data = bytearray(draw(st.sampled_from(SEEDS[target])))
    for _ in range(draw(st.integers(1, 4))):
        size = max(len(data), 1)
        start = draw(st.integers(0, size - 1))
        end = min(start + draw(st.sampled_from([1, 2, 8, 512, 1024])), size)
        what = draw(st.sampled_from(['write', 'flip', 'cut', 'repeat', 'zero', 'end']))
        if what == 'write':
            data[start:end] = draw(st.binary(min_size=1, max_size=16))
        elif what == 'flip' and data:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif what == 'cut':
            del data[start:end]
        elif what == 'repeat':
            data[start:start] = data[start:end]
        elif what == 'zero':
            data[start:end] = bytes(end - start)
        else:
            del data[start:]
    return bytes(data)


@pytest.mark.parametrize('target', TARGETS)
def test_good_input_and_none_at_all(target):
    for data in (*SEEDS[target], b'', b'\0', bytes(5000)):
        TARGETS[target](data)


@pytest.mark.parametrize('target', TARGETS)
def test_mangled_input(target):
    settings(quick, max_examples=EXAMPLES[target])(given(mangled(target))(TARGETS[target]))()


@pytest.mark.slow
@pytest.mark.parametrize('target', TARGETS)
def test_much_mangled_input(target):
    settings(quick, max_examples=20 * EXAMPLES[target], derandomize=False)(given(mangled(target))(TARGETS[target]))()


@pytest.mark.parametrize('target', TARGETS)
@settings(quick, max_examples=40)
@given(data=st.binary(max_size=2000))
def test_noise(target, data):
    TARGETS[target](data)


@settings(quick, max_examples=60)
@given(value=JSON, text=st.text(max_size=20))
def test_any_json_as_a_label(value, text):
    text = text.encode('utf-8', 'replace')[:255]
    TARGETS['label'](bytes([len(text)]) + text + json.dumps(value).encode())
    TARGETS['label'](b'\0' + json.dumps({'emotion': value}).encode())


def test_the_fuzzer_says_what_it_needs(monkeypatch):
    code = "import sys; sys.modules['atheris'] = None; from tests.fuzz import main; sys.exit(main(['label']))"
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and 'pip install atheris' in done.stderr and done.stderr.count('\n') == 1
