"""A synthesised corpus for trying the software: scores on it say nothing about recognising emotion in speech.

Thirty invented speakers say four of six sentences in five manners. The manners differ as reviews of acted emotion
report: Banse and Scherer 1996 ("Acoustic profiles in vocal emotion expression") and Juslin and Laukka 2003
("Communication of emotions in vocal expression and music performance"): anger and happiness are loud, fast, high and
bright, happiness with wide, rising pitch; sadness is soft, slow, low, narrow, falling, with pauses and little high
frequency; fear is fast, high, narrow and unsteady, with pauses. Speakers differ in pitch, vocal tract, loudness and
habits, every clip in strength, so the classes overlap.
"""

import functools
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from ser.corpora.utterance import Corpus, CorpusFacts, Utterance
from ser.corpora.voice import SAMPLE_RATE, STEP_SECONDS, Controls, Quality, add_shaped_noise, articulate, render, smooth
from ser.labels import ordered
from ser.randomness import generator

SPEAKERS = 30
TAKES = 4
SECONDS = (1.0, 1.6)
SENTENCES = ('ma ti so ne la', 'do ke mu sa li', 'fa no ti lu me', 'se la ku do ni', 'lo mi ta fe nu', 'ka su le mo ti')


@dataclass(frozen=True)
class Manner:
    """How an emotion is spoken, as differences from the speaker's neutral."""

    pitch_st: float = 0.0
    """Level, semitones."""
    range_st: float = 0.0
    """Change of the accents' height, semitones; neutral is 3."""
    rise_st: float = 0.0
    """Change of the drift over the clip, semitones; neutral falls by 2."""
    rate: float = 0.0
    """Natural logarithm of the tempo."""
    level_db: float = 0.0
    tilt_db: float = 0.0
    """Spectral tilt, dB per octave."""
    jitter: float = 0.0
    """Natural logarithm of the unsteadiness of the period; neutral is 0.5 %."""
    tremor_st: float = 0.0
    """Pitch modulation near 6.5 Hz, semitones."""
    pause: float = 0.0
    """Seconds of pause inside; neutral is 0.02."""
    breath: float = 0.0
    """Natural logarithm of the aspiration noise."""
    spread: float = 0.0
    """Change of all formants, as a share (a smile shortens the tract)."""


MANNERS = {
    'neutral': Manner(),
    'happy': Manner(3.0, 3.5, 4.5, 0.10, 3.0, -1.5, 0.1, 0.0, -0.01, 0.0, 0.06),
    'sad': Manner(-1.5, -2.0, -1.5, -0.20, -4.0, 3.5, 0.4, 0.0, 0.14, 0.8, -0.02),
    'angry': Manner(2.5, 1.5, -3.5, 0.12, 5.0, -3.0, 0.6, 0.0, -0.01, -0.4, 0.0),
    'fear': Manner(4.5, -1.5, 1.0, 0.16, -0.5, 1.0, 1.5, 0.9, 0.09, 1.0, 0.01),
}
# Deviation of each field of Manner: a speaker's habit, and from clip to clip.
HABIT = Manner(0.0, 0.5, 0.6, 0.05, 1.5, 0.7, 0.25, 0.05, 0.01, 0.3, 0.0)
CLIP = Manner(1.0, 0.6, 0.9, 0.05, 1.5, 0.6, 0.3, 0.1, 0.02, 0.3, 0.01)

FACTS = CorpusFacts(
    name='demo', title='Synthetic demonstration corpus (for trying the software only; scores on it mean nothing about '
    'emotion recognition)', licence='MIT', language=None, homepage=None, speakers=SPEAKERS, emotions=ordered(MANNERS),
    utterances=SPEAKERS * len(MANNERS) * TAKES, example='s07_fear_2',
    layout='nothing: it is synthesised, SOURCE is ignored (give -)')


@dataclass(frozen=True)
class Talker:
    """One invented speaker."""

    base_hz: float
    tract: float
    level_db: float
    strength: float
    """How far emotions move this speaker."""
    habit: Manner


def talker(number):
    """Speaker `number` (0 to SPEAKERS - 1); even ones are female."""
    draw = generator('demo', 'talker', number)
    female = number % 2 == 0
    spread = draw.standard_normal(4)
    return Talker(
        base_hz=(200.0 if female else 115.0) * 2 ** (2.2 * spread[0] / 12),
        tract=(1.16 if female else 1.0) * np.exp(0.04 * spread[1]),
        level_db=3.0 * spread[2], strength=float(np.clip(1.0 + 0.2 * spread[3], 0.6, 1.4)), habit=_scatter(HABIT, draw))


def _scatter(deviation, draw):
    return Manner(*(np.asarray(astuple(deviation)) * draw.standard_normal(len(astuple(deviation)))))


def manner_of(person, emotion, draw):
    """The Manner of one clip: the emotion's profile, scaled by speaker and take, plus habit and chance."""
    strength = person.strength * draw.uniform(0.6, 1.2)
    parts = zip(astuple(MANNERS[emotion]), astuple(person.habit), astuple(_scatter(CLIP, draw)), strict=True)
    return Manner(*(strength * profile + habit + chance for profile, habit, chance in parts))


def synthesise(number, emotion, take):
    """One clip: (int16 (n,) samples, SAMPLE_RATE), n within SECONDS; a pure function of its arguments."""
    draw = generator('demo', 'clip', number, emotion, take)
    person = talker(number)
    manner = manner_of(person, emotion, draw)
    syllables, seconds = _timing(sentence_of(number, take), manner, draw)
    voicing, formants, noise, noise_hz, vowel = articulate(syllables, seconds, person.tract * (1 + manner.spread))
    controls = Controls(_pitch(person, manner, vowel, draw), voicing, formants, noise, noise_hz)
    quality = Quality(tilt_db=float(np.clip(7.0 + manner.tilt_db, 2.0, 14.0)),
                      jitter=float(0.005 * np.exp(np.clip(manner.jitter, -1.5, 2.0))),
                      shimmer_db=float(0.4 * np.exp(np.clip(manner.jitter / 2, -1.0, 1.0))),
                      breath=float(0.01 * np.exp(np.clip(manner.breath, -2.0, 2.0))))
    waveform = render(controls, quality, draw)
    return _record(waveform, person.level_db + manner.level_db, draw), SAMPLE_RATE


def sentence_of(number, take):
    """Index of the sentence that speaker `number` says in take `take`, the same for every emotion."""
    return (number + take) % len(SENTENCES)


def _timing(sentence, manner, draw):
    """Syllables with silence before, inside and after, and the seconds of each; within SECONDS together."""
    syllables = SENTENCES[sentence].split()
    seconds = list(0.215 * np.exp(-manner.rate) * np.exp(0.1 * draw.standard_normal(len(syllables))))
    seconds[-1] *= 1.25
    place = int(draw.integers(2, 4))
    syllables.insert(place, '-')
    seconds.insert(place, float(np.clip(0.02 + manner.pause, 0.0, 0.25)))
    quiet = draw.uniform(0.03, 0.09, 2)
    syllables, seconds = ['-', *syllables, '-'], np.array([quiet[0], *seconds, quiet[1]])
    low, high = SECONDS[0] + 0.02, SECONDS[1] - 0.02
    if seconds.sum() > high:
        seconds *= high / seconds.sum()
    seconds[-1] += max(0.0, low - seconds.sum())
    return syllables, seconds


def _pitch(person, manner, vowel, draw):
    """Pitch curve in Hz: level, drift, an accent per syllable, slow wander, tremor."""
    steps = len(vowel)
    place = np.linspace(-0.5, 0.5, steps)
    syllables = np.unique(vowel[vowel >= 0])
    weights = dict(zip(syllables, draw.uniform(0.1, 1.0, len(syllables)), strict=True))
    stressed = syllables[int(draw.integers(1, 3))]
    weights[stressed] = 1.6
    accents = smooth(np.array([weights.get(number, 0.2) for number in vowel]), 31) - 0.6
    phase = draw.uniform(0, 2 * np.pi, 2)
    seconds = np.arange(steps) * STEP_SECONDS
    semitones = (manner.pitch_st + (manner.rise_st - 2.0) * place + max(0.3, 3.0 + manner.range_st) * accents
                 + 0.4 * np.sin(2 * np.pi * 1.3 * seconds + phase[0])
                 + max(0.0, manner.tremor_st) * np.sin(2 * np.pi * 6.5 * seconds + phase[1]))
    return np.clip(person.base_hz * 2 ** (semitones / 12), 60.0, 600.0)


def _record(waveform, level_db, draw):
    """As a microphone takes it: speaker's level, distance, room noise; int16."""
    waveform = waveform * (0.12 * 10 ** ((level_db + 1.5 * draw.standard_normal()) / 20) / 0.1)
    noise = np.zeros(len(waveform) + 1024)
    frames = len(waveform) // 256 + 1
    frequency = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    room = 10 ** (draw.uniform(-72, -58) / 20) * 8 / np.sqrt(1 + frequency / 200)
    add_shaped_noise(noise, np.broadcast_to(room, (frames, len(frequency))), draw)
    return np.clip(np.rint((waveform + noise[:len(waveform)]) * 32768), -32768, 32767).astype(np.int16)


def parse(_source=None):
    """All clips, in natural order of their names."""
    for number in range(SPEAKERS):
        for emotion in FACTS.emotions:
            for take in range(TAKES):
                name = f's{number + 1:02d}_{emotion}_{take + 1}'
                yield Utterance(
                    path=Path(name), relative=name, corpus=FACTS.name, emotion=emotion, raw_label=emotion,
                    speaker=f's{number + 1:02d}', gender='female' if number % 2 == 0 else 'male',
                    text_id=f't{sentence_of(number, take) + 1}',
                    read=functools.partial(synthesise, number, emotion, take))


DEMO = Corpus(FACTS, parse, needs_source=False)
