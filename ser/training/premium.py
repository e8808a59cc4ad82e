"""The leak premium: one config trained on unseen speakers and on random clips, and the difference of the scores."""

import logging
import shlex

from ser.config.protocol import SpeakerProtocol, UtteranceProtocol
from ser.errors import SerError
from ser.evaluation.premium import PROTOCOLS, leak_premium, premium_lines
from ser.training.demo_data import data_for
from ser.training.folds import SOME_FAILED
from ser.training.series import (
    Item,
    Place,
    check_emotions,
    failure_lines,
    holding,
    labelled,
    series_folder,
    split_lines,
    train_series,
)
from ser.training.session import with_world

log = logging.getLogger(__name__)


def train_premium(config, out=None, dry_run=False, say=print):
    """Train OUT/speaker and OUT/utterance and write the leak premium into OUT; returns an exit code.

    Both parts of test and validation have the shares of the config's speaker protocol, or its defaults where the
    config has another protocol. Finished runs stay: the same command carries on. dry_run: only `say` the parts.
    The code is 1 when a run failed. Raises SerError for a config that predicts dimensions.
    """
    check_emotions(config, '--leak-premium')

    def body(world, device, reason):
        place = Place(world, device, reason)
        folder = series_folder(place, config, out, '|'.join(PROTOCOLS))
        with data_for(config, world, dry_run) as with_shards:
            items = [Item(f'protocol {protocol.kind}', of_protocol, folder / protocol.kind)
                     for protocol, of_protocol in _configs(with_shards)]
            if dry_run:
                return _describe(items, place, say)
            with holding(folder, place):
                code, failed = train_series(items, place)
                if code:
                    log.info('the same command carries on: --leak-premium --out %s', folder)
                    return code
                if world.is_main:
                    lines = failure_lines(failed) if failed else [
                        *premium_lines(leak_premium(folder, config.evaluation)), f'report: {folder / "README.md"}',
                        f'next: ser report {shlex.quote(str(folder / PROTOCOLS[0]))}']
                    for line in lines:
                        log.info(line)
                return SOME_FAILED if failed else 0

    return with_world(config, body)


def _configs(config):
    """[(protocol, config)] of the two runs: whole speakers held out, then clips, the same share of them."""
    given = config.protocol
    speaker = given if given.kind == 'speaker' else SpeakerProtocol(seed=getattr(given, 'seed', 0))
    utterance = UtteranceProtocol(valid_fraction=speaker.valid_fraction, test_fraction=speaker.test_fraction,
                                  seed=speaker.seed)
    return [(protocol, config.model_copy(update={'protocol': protocol})) for protocol in (speaker, utterance)]


def _describe(items, place, say):
    index, names = labelled(items[0].config)
    lines, failed = split_lines(index, names, items)
    if failed:
        raise SerError('; '.join(failed.values()))
    if place.world.is_main:
        for line in lines:
            say(line)
    return 0
