"""The leak premium: what a score gains when the test speakers are heard in training."""

from pathlib import Path

import numpy as np

from ser.evaluation.paired import Answers, unpaired_difference
from ser.evaluation.report import score
from ser.evaluation.run_files import read_split
from ser.evaluation.sides import read_side
from ser.evaluation.summary import score_line
from ser.evaluation.tables import markdown_table, percent, percent_with_interval
from ser.files import write_json, write_whole

PROTOCOLS = ('speaker', 'utterance')


def leak_premium(folder, evaluation):
    """Compare the runs `speaker` and `utterance` of a folder, the same config under two protocols; return the facts.

    Writes README.md and premium.json: `speaker` and `utterance` (run, heard, protocol, ua, ua_interval, wa,
    wa_interval, n, n_speakers, speaker_disjoint, notes), `premium` (ua, wa and their intervals, as shares; method) and
    `sentence`. heard: the share of the test clips whose speaker is trained on, null where that is unknown.
    evaluation: the config's section. Raises SerError for a run that is missing, unfinished or broken.
    """
    folder = Path(folder)
    sides = {name: read_side(folder / name) for name in PROTOCOLS}
    scored = {name: score(side.repeats[0], side.facts, evaluation) for name, side in sides.items()}
    change = unpaired_difference(*(Answers.of(side.repeats) for side in sides.values()),
                                 resamples=evaluation.bootstrap, confidence=evaluation.confidence,
                                 seed=evaluation.seed)
    heard = {name: _heard(folder / name, side) for name, side in sides.items()}
    kept = ('protocol', 'ua', 'ua_interval', 'wa', 'wa_interval', 'n', 'n_speakers', 'speaker_disjoint', 'notes',
            'interval_method')
    facts = {name: {'run': name, 'heard': heard[name], **{key: metrics[key] for key in kept}}
             for name, metrics in scored.items()}
    facts['premium'] = {'ua': change.ua, 'ua_interval': list(change.ua_interval), 'wa': change.wa,
                        'wa_interval': list(change.wa_interval), 'method': change.method}
    facts['sentence'] = _sentence(facts)
    write_whole(folder / 'README.md', _card(facts, scored, folder.resolve().name))
    write_json(folder / 'premium.json', facts)
    return facts


def _heard(run, side):
    """The share of a run's test clips whose speaker is among its training clips; None where speakers are unknown."""
    trained = {member.speaker for member in read_split(run, side.names) if member.part == 'train'}
    speakers = side.repeats[0].speakers
    if None in trained or None in speakers:
        return None
    return float(np.mean([speaker in trained for speaker in speakers]))


def premium_lines(facts):
    """What a command prints of the leak premium: a line for each protocol, the premium, what it means."""
    rows = [f"{facts[name]['protocol']}: UA {percent_with_interval(facts[name]['ua'], facts[name]['ua_interval'])}, "
            f"WA {percent_with_interval(facts[name]['wa'], facts[name]['wa_interval'])}" for name in PROTOCOLS]
    return [*rows, f"leak premium: UA {_points(facts, 'ua')}, WA {_points(facts, 'wa')} (unpaired)", facts['sentence']]


def _points(facts, name):
    low, high = (100 * edge for edge in facts['premium'][f'{name}_interval'])
    return f"{100 * facts['premium'][name]:+.1f} points [{low:.1f}, {high:.1f}]"


def _sentence(facts):
    low, _ = facts['premium']['ua_interval']
    disjoint = [facts[name]['speaker_disjoint'] for name in PROTOCOLS]
    if disjoint != [True, False]:
        return ('The two splits do not differ in whether test speakers are heard in training, so the difference is no '
                'leak premium.')
    if low > 0:
        return (f"With the test speakers' voices in training the same system seems {100 * facts['premium']['ua']:.1f} "
                f"points better than it is: expect {percent(facts['speaker']['ua'])} UA, not "
                f"{percent(facts['utterance']['ua'])}, from a voice it has never heard.")
    return ("No leak premium is shown here: the interval holds zero, so these test parts are too small, or the system "
            'too weak, to tell whether hearing the test speakers in training helps.')


def _card(facts, scored, name):
    rows = [(f'`{key}`', one['protocol'], percent(one['heard']), percent_with_interval(one['ua'], one['ua_interval']),
             percent_with_interval(one['wa'], one['wa_interval']), '; '.join(one['notes']))
            for key, one in facts.items() if key in PROTOCOLS]
    lines = [
        f'# {name}: the leak premium', '',
        'One config, trained twice: once on unseen speakers, once on clips drawn at random, whoever speaks. The two '
        'scores answer different questions and are never one column of a table of systems.', '',
        *markdown_table(('run', 'protocol', 'test clips of trained speakers', 'UA', 'WA', 'notes'), rows, 'llrrrl'), '',
        f"**Leak premium: UA {_points(facts, 'ua')}, WA {_points(facts, 'wa')}.** {facts['sentence']}", '',
        'The third column is the share of the test clips whose speaker is among the training clips. '
        f"The test parts differ, so the difference is {facts['premium']['method']}. One training run each: the luck of "
        'the seed is not in the interval.', '',
        *(f'- {key}: {score_line(scored[key])}' for key in PROTOCOLS),
    ]
    return '\n'.join(lines) + '\n'
