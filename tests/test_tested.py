"""A run's test part again, from its shards: the same clips, the same answers, or one line that says why not."""

import shutil

import numpy as np
import pytest

from ser.errors import SerError
from ser.reports.tested import Scorer, open_tested
from tests.shard_factory import make_shards, sample, write_tar
from tests.tiny_run import MAX_SECONDS, tiny_run  # noqa: F401


@pytest.fixture
def run(tiny_run, tmp_path):  # noqa: F811
    return shutil.copytree(tiny_run.path, tmp_path / 'run')


def test_the_clips_are_whole_and_the_answers_those_of_the_run(tiny_run):  # noqa: F811
    import soundfile

    part, scorer = open_tested(tiny_run.path), Scorer(tiny_run.path, 'cpu')
    places = range(len(part.rows))
    clips = list(part.clips(places))
    assert part.same_data and len(clips) == len(tiny_run.predictions())
    assert part.predictions.keys == tuple(row['key'] for row in tiny_run.predictions())
    # 22.05 kHz in the shards, 16 kHz here.
    for key, clip in zip(part.predictions.keys, clips, strict=True):
        info = soundfile.info(str(tiny_run.clips[key]))
        assert clip.dtype == np.int16 and abs(len(clip) - info.frames * 16000 / info.samplerate) <= 1
    assert max(map(len, clips)) > MAX_SECONDS * 16000, 'no clip is scored in windows'
    answers = scorer.probabilities(clips)
    np.testing.assert_allclose(answers, part.predictions.probabilities, atol=1e-6)
    assert part.check_same(places, answers) == 0
    floats = scorer.probabilities([clip.astype(np.float32) / 32768 for clip in clips])
    np.testing.assert_allclose(floats, answers, atol=1e-7)


def test_few_other_decisions_are_counted_and_many_refused(tiny_run):  # noqa: F811
    part = open_tested(tiny_run.path)
    places, said = range(len(part.rows)), part.predictions.probabilities
    other = said.copy()
    other[0] = np.roll(other[0], 1)
    assert part.check_same(places, other) == 1
    with pytest.raises(SerError, match='decides 2 otherwise than predictions.csv says: the weights or the audio'):
        part.check_same(places, np.concatenate([np.roll(said[:2], 1, axis=1), said[2:]]))


def test_moved_shards_are_named_and_others_told_apart(tiny_run, run, tmp_path):  # noqa: F811
    text = (run / 'config.yaml').read_text()
    (run / 'config.yaml').write_text(text.replace(str(tiny_run.shards), str(tmp_path / 'gone')))
    with pytest.raises(SerError, match='its test part is not at hand .*gone.* Name the shards .* --shards') as error:
        open_tested(run)
    assert '\n' not in str(error.value)
    assert open_tested(run, [str(tiny_run.shards)]).same_data
    # The same clips and one more: other data, but every test clip is there.
    more = shutil.copytree(tiny_run.shards, tmp_path / 'more')
    write_tar(more / 'test-00099.tar', sample('test-extra', 77))
    assert not open_tested(run, [str(more)]).same_data


def test_shards_that_lack_or_relabel_a_test_clip_are_refused(tiny_run, tmp_path):  # noqa: F811
    make_shards(tmp_path / 'few', n_speakers=3, clips_per=1)
    with pytest.raises(SerError, match=r'\d+ of \d+ test clips are not in these shards, for one test-s'):
        open_tested(tiny_run.path, [str(tmp_path / 'few')])
    first = tiny_run.predictions()[0]
    wrong = 'sad' if first['label'] != 'sad' else 'happy'
    for row in tiny_run.predictions():
        label = wrong if row['key'] == first['key'] else row['label']
        write_tar(tmp_path / 'odd' / f"{row['key']}.tar", sample(row['key'], 1, emotion=label, raw_label=label))
    with pytest.raises(SerError, match=f"{first['key']} is {wrong} in these shards, split.csv says {first['label']}"):
        open_tested(tiny_run.path, [str(tmp_path / 'odd')])


def test_what_is_no_finished_run_of_classes_is_refused(run, tmp_path):
    with pytest.raises(SerError, match='not a run directory'):
        open_tested(tmp_path)
    lines = (run / 'predictions.csv').read_text().splitlines()
    (run / 'predictions.csv').write_text('\n'.join(lines[:-1]) + '\n')
    with pytest.raises(SerError, match='its clips are not the test part of split.csv, for one test-s'):
        open_tested(run)
    (run / 'predictions.csv').unlink()
    with pytest.raises(SerError, match='predictions.csv: no such file'):
        open_tested(run)


def test_a_run_that_predicts_dimensions_is_refused(run, monkeypatch):
    monkeypatch.setattr('ser.reports.tested.read_task', lambda run: {'kind': 'dimensions'})
    with pytest.raises(SerError, match='predicts dimensions; only runs that tell classes apart'):
        open_tested(run)
