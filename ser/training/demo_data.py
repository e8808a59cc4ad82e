"""What is trained on where a config names no shards: the synthetic corpus, made where it is missing."""

import contextlib
import logging
import tempfile
from pathlib import Path

from ser.errors import SerError
from ser.shards.demo_shards import ensure_demo_shards
from ser.shards.publish import MANIFEST

log = logging.getLogger(__name__)
DEMO_SHARDS = Path('data/demo')


@contextlib.contextmanager
def data_for(config, world, dry_run=False):
    """The config itself where it names shards, else on the synthetic corpus, which is made where it is missing.

    dry_run: what is made is in a temporary folder and removed at the end. Raises SerError for shards of other parts
    alone and as `ensure_demo_shards`, on every rank.
    """
    data = config.data
    if data.shards:
        yield config
        return
    if data.valid_shards or data.test_shards:
        raise SerError('--valid-shards and --test-shards go with --shards, which names the training part')
    with _place(world, dry_run) as folder:
        world.on_main(lambda: ensure_demo_shards(folder))
        log.info('corpus: synthetic demo voices in %s, for trying the software only', folder)
        yield on_demo(config, folder)


def on_demo(config, folder=DEMO_SHARDS):
    """The config on the synthetic corpus in a folder."""
    return config.model_copy(update={'data': config.data.model_copy(update={'shards': (str(folder),)})})


@contextlib.contextmanager
def _place(world, dry_run):
    """Where the synthetic corpus is or is to be made; ranks leave a temporary place together."""
    if not dry_run or world.from_main((DEMO_SHARDS / MANIFEST).exists()):
        yield DEMO_SHARDS
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='ser-')) if world.is_main else None
        folder = Path(world.from_main(folder), 'demo')
        log.info('dry run: nothing is made in %s; what it would hold is in %s for now', DEMO_SHARDS, folder)
        yield folder
        # The folder goes with the first rank: none of the others may still read it.
        world.gather(True)
