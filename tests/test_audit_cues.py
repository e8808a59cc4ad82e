"""Measures that tell classes or parts apart: the area under the curve against scikit-learn, and what is said of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ser.shards.audit_cues import format_cues, measure_cues, original_rate, within_aucs
from ser.shards.audit_subject import Subject
from ser.shards.fingerprint import FACTS


def test_one_group_gives_the_area_of_scikit_learn():
    draw = np.random.default_rng(1)
    values, labels = draw.integers(0, 12, 200).astype(float), draw.integers(0, 3, 200)
    aucs, clips, others = within_aucs(values, labels, np.zeros(200, int), 3)
    for label in range(3):
        assert aucs[label] == pytest.approx(roc_auc_score(labels == label, values))
        assert (clips[label], others[label]) == ((labels == label).sum(), (labels != label).sum())


def test_groups_are_compared_within_and_weighed_by_their_pairs():
    draw = np.random.default_rng(2)
    groups, labels = draw.integers(0, 5, 300), draw.integers(0, 2, 300)
    values = draw.normal(size=300) + 3 * groups + labels
    values[draw.integers(0, 300, 20)] = np.nan
    wins = pairs = 0
    for group in range(5):
        ours = values[(groups == group) & (labels == 1) & ~np.isnan(values)]
        rest = values[(groups == group) & (labels == 0) & ~np.isnan(values)]
        wins += (ours[:, None] > rest).sum()
        pairs += ours.size * rest.size
    aucs, clips, _ = within_aucs(values, labels, groups, 2)
    assert aucs[1] == pytest.approx(wins / pairs) and aucs[0] == pytest.approx(1 - wins / pairs)
    assert clips.sum() == (~np.isnan(values)).sum()
    aucs, clips, others = within_aucs(values, labels, np.arange(300), 2)
    assert np.isnan(aucs).all() and not clips.any() and not others.any()


def subject_of(clips=160, speakers=8, sounds=True, part=None, **columns):
    """A Subject of happy and sad clips in turn; columns: of FACTS, or 'suffix', 'sample_rate', 'frames', 'corpus'."""
    rows = [SimpleNamespace(emotion=('happy', 'sad')[i % 2], speaker=f's{i // 2 % speakers}', corpus='test',
                            suffix='.flac', sample_rate=16000, frames=16000 + i // 2 % 5) for i in range(clips)]
    facts = np.random.default_rng(4).normal(size=(clips, len(FACTS)))
    facts[:, FACTS.index('rate_hz')], facts[:, FACTS.index('bandwidth_hz')] = 16000, 8000
    for name, values in columns.items():
        if name in FACTS:
            facts[:, FACTS.index(name)] = values
        else:
            for row, value in zip(rows, values, strict=True):
                setattr(row, name, value)
    prints = SimpleNamespace(fact=lambda name: facts[:, FACTS.index(name)])
    part = np.arange(clips) // 2 % speakers % 3 if part is None else part
    return Subject(SimpleNamespace(rows=rows), ('happy', 'sad'), np.arange(clips), part,
                   SimpleNamespace(prints=prints) if sounds else None, ())


def test_nothing_is_said_of_noise():
    assert list(measure_cues(subject_of())) == list(format_cues(subject_of())) == []


@pytest.mark.parametrize(('name', 'severity', 'words'), [
    ('level_db', 'note', 'loudness alone tells sad (louder) from the rest with AUC 0.9'),
    ('duration_seconds', 'note', 'duration alone tells sad (longer)'),
    ('inner_silence', 'note', 'silence inside alone tells sad (more)'),
    ('leading_silence', 'warning', 'silence before speech alone tells sad (more)'),
    ('trailing_silence', 'warning', 'silence after speech alone tells sad (more)'),
    ('bandwidth_hz', 'warning', 'bandwidth alone tells sad (wider)')])
def test_a_measure_that_tells_a_class_within_speakers(name, severity, words):
    draw, number = np.random.default_rng(6), np.arange(160)
    # Speakers differ far more than classes.
    values = draw.normal(size=160) + 2.2 * (number % 2) + 50 * (number // 2 % 8)
    both = [found for found in measure_cues(subject_of(**{name: values})) if found.kind == 'class-cue']
    assert [found.severity for found in both] == [severity] * 2
    sad, = (found for found in both if found.numbers['class'] == 'sad')
    assert sad.text.startswith(words) and 'a model may learn' in sad.text
    assert sad.numbers['measure'] == name and sad.numbers['auc'] == pytest.approx(0.94, abs=0.03)


def test_unknown_speakers_are_compared_within_the_corpus_and_small_classes_not_at_all():
    level = np.arange(160) % 2 + 0.1 * np.random.default_rng(1).normal(size=160)
    assert len(list(measure_cues(subject_of(level_db=level, speaker=[None] * 160)))) == 2
    assert list(measure_cues(subject_of(clips=38, level_db=np.arange(38) % 2))) == []


def test_without_fingerprints_only_what_the_metadata_says():
    longer = [16000 + 1600 * (i % 2) + i // 2 % 5 for i in range(160)]
    found = list(measure_cues(subject_of(sounds=False, frames=longer)))
    assert {one.numbers['measure'] for one in found} == {'duration_seconds'} and len(found) == 2
    assert list(measure_cues(subject_of(sounds=False, frames=[None] * 160))) == []


def test_a_part_of_other_recordings():
    part = np.arange(160) // 2 % 9 % 3
    found = list(measure_cues(subject_of(speakers=9, level_db=part == 2)))
    assert [one.numbers['part'] for one in found] == ['test'] and found[0].kind == 'part-cue'
    assert found[0].text.startswith('clips of test differ from the others in loudness (louder) with AUC 1.00')
    alone = np.where(np.arange(160) // 2 % 8 == 0, 2, 0)
    assert list(measure_cues(subject_of(part=alone, level_db=alone))) == []


@pytest.mark.parametrize(('sounds', 'columns', 'words'), [
    (True, {'bandwidth_hz': np.where(np.arange(160) % 2, 3980.0, 8000.0)},
     '100 % of the clips of sad and 0 % of the others are without anything above what 8000 Hz can hold'),
    (True, {'rate_hz': np.where(np.arange(160) % 2, 8000, 16000)}, 'stored at 8000 Hz'),
    (False, {'sample_rate': [16000, 44100] * 80}, 'stored at 44100 Hz'),
    (False, {'suffix': ['.flac', '.ogg'] * 80}, '.ogg files')])
def test_formats_that_a_class_has_for_itself(sounds, columns, words):
    found = list(format_cues(subject_of(sounds=sounds, **columns)))
    assert {one.numbers['class'] for one in found} == {'happy', 'sad'}
    assert {(one.kind, one.severity) for one in found} == {('format-cue', 'warning')}
    assert any(words in one.text for one in found)


def test_formats_that_a_part_has_for_itself_and_those_that_are_mixed():
    part = np.arange(160) // 2 % 8 % 3
    found = list(format_cues(subject_of(rate_hz=np.where(part == 2, 8000, 16000))))
    assert [one.numbers['part'] for one in found] == ['test']
    mixed = np.where(np.arange(160) % 3, 8000, 16000)
    assert list(format_cues(subject_of(rate_hz=mixed))) == []
    unknown = np.where(np.arange(160) % 2, np.nan, 8000)
    assert list(format_cues(subject_of(bandwidth_hz=unknown))) == []


@pytest.mark.parametrize(('bandwidth', 'rate'), [
    (3790, 8000), (4134, 8000), (5512, 11025), (7580, 16000), (8096, 16000), (10680, 22050), (16021, 32000),
    (18260, 44100), (22050, 44100), (24000, 44100), (48000, None), (np.nan, None)])
def test_the_original_rate_that_a_bandwidth_betrays(bandwidth, rate):
    assert original_rate(bandwidth) == rate
