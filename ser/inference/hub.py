"""Runs on a model hub: `push` sends what a model is rebuilt from and its card, `pull` fetches that and checks it."""

import contextlib
import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ser.errors import SerError, install
from ser.files import verifies
from ser.inference.hub_auxiliary import class_notes
from ser.inference.hub_files import CARD, KNOWN, NEEDED, README, WEIGHTS, body, files_of, needed_by
from ser.inference.hub_readme import differences
from ser.training.run import open_run

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Largest file besides the weights that is fetched."""
_NAME = re.compile(r'[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*')
_LOGIN = "log in with 'hf auth login', or set HF_TOKEN"
_NAMED = 5
# The library's exceptions by name, so that nothing of it is imported for them; the nearest ancestor counts.
_REMEDIES = {
    'GatedRepoError': f'access to it is gated: ask for access on its page, then {_LOGIN}',
    'RepositoryNotFoundError': f'there is no such model, or it is private: check OWNER/NAME, or {_LOGIN}',
    'RevisionNotFoundError': 'it has no such revision: check what stands after --revision',
    'HFValidationError': 'that is not OWNER/NAME',
    'LocalTokenNotFoundError': f'nobody is logged in: {_LOGIN}',
    'OfflineModeIsEnabled': 'HF_HUB_OFFLINE is set: unset it',
    'LocalEntryNotFoundError': 'the hub cannot be reached: try again later',
}
_STATUS = {401: f'the hub does not know this login: {_LOGIN}',
           403: 'this login may not write there: take an OWNER of yours, or a token that may write',
           409: 'somebody else has changed it meanwhile: try again', 412: 'it has changed meanwhile: try again'}


@dataclass(frozen=True)
class Upload:
    """What `push` is about to do. files: name -> bytes or Path. notes: lines that people should read before."""

    repository: str
    revision: str | None
    private: bool
    exists: bool
    files: dict
    notes: tuple
    parent: str | None
    """The commit that the files are put on top of; another one meanwhile is refused."""

    def size_of(self, name):
        """Bytes of a file."""
        content = self.files[name]
        return content.stat().st_size if isinstance(content, Path) else len(content)

    def lines(self):
        """The plan for people: where to, which files of which size."""
        kind = 'private' if self.private else 'public'
        where = f'{self.repository}{f", revision {self.revision}" if self.revision else ""}'
        rows = [f'  {name:<{max(map(len, self.files))}}  {self.size_of(name):>13,} bytes' for name in self.files]
        return [f'to {where} ({kind}, {"there already" if self.exists else "new"}):', *rows, *self.notes]


def prepare(run, repository, private=False, revision=None, with_predictions=False, licence='other'):
    """The Upload of a run; nothing is sent yet.

    A README.md that the repository holds stays: the card then goes to MODEL_CARD.md. Raises SerError for a run that is
    not finished, a missing login, a repository that may not be seen, and one that is public where `private` is wanted.
    """
    _check_name(repository)
    files, api = files_of(run, repository, with_predictions, licence), _api(repository)
    with _explained(repository, 'sent'):
        api.whoami()
    held, notes = _held(api, repository, revision), tuple(class_notes(run, with_predictions))
    if held is None:
        return Upload(repository, revision, private, False, files, notes, None)
    if private and not held.private:
        raise SerError(f"'{repository}' is public already; --private does not hide it. Make it private on its page, or "
                       'choose another NAME')
    if README in held.files:
        notes += _beside(files, _held_text(api, repository, held, README), CARD in held.files)
    return Upload(repository, revision, held.private, True, files, notes, held.commit)


def _beside(files, theirs, has_card):
    """Take README.md out of `files` for the one that is there, `theirs` (None: unknown); lines on what that means."""
    ours = files.pop(README).decode()
    if theirs == ours and not has_card:
        return (f'{README} is there already and says the same',)
    files[CARD] = body(ours).encode()
    lines = [f'{README} is there already and stays as it is; the card goes to {CARD}']
    said = None if theirs is None else differences(theirs, ours)
    if said:
        lines.append(f'{README} there states other scores, and its page will go on to show them: {said}. Put {CARD} in '
                     'its place there, or change it by hand')
    return tuple(lines)


def _held_text(api, repository, held, name):
    """What a small file of a repository holds; None where it may be large, or is no text."""
    if held.files[name] is None or held.files[name] > MOST_BYTES:
        return None
    with tempfile.TemporaryDirectory() as folder, _explained(repository, 'read'):
        path = api.hf_hub_download(repository, name, revision=held.seen, local_dir=folder)
        try:
            return Path(path).read_text(encoding='utf-8')
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True)
class _Held:
    private: bool
    files: dict
    """name -> size in bytes, None where the hub does not say."""
    commit: str | None
    """What a commit goes on top of; None for a branch that is yet to be made."""
    seen: str
    """The commit that holds `files`."""


def _held(api, repository, revision):
    """What a repository holds at a revision; None where there is no repository."""
    with _explained(repository, 'sent'):
        if not api.repo_exists(repository):
            return None
        main = api.model_info(repository, files_metadata=True)
        if revision is None:
            found = main
        elif not api.revision_exists(repository, revision):
            # A branch begins as a copy of the main one.
            return _Held(bool(main.private), _names(main), None, main.sha)
        else:
            found = api.model_info(repository, revision=revision, files_metadata=True)
        return _Held(bool(main.private), _names(found), found.sha, found.sha)


def _names(info):
    return {sibling.rfilename: sibling.size for sibling in info.siblings or ()}


def send(upload):
    """Send an Upload in one commit; returns its address. Raises SerError with the remedy, and then nothing was sent
    but an empty repository or branch."""
    api = _api(upload.repository)
    from huggingface_hub import CommitOperationAdd

    with _explained(upload.repository, 'sent'):
        if not upload.exists:
            api.create_repo(upload.repository, private=upload.private)
        if upload.revision is not None and upload.parent is None:
            api.create_branch(upload.repository, branch=upload.revision, exist_ok=True)
        operations = [CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
                      for name, content in upload.files.items()]
        done = api.create_commit(upload.repository, operations, commit_message='Model and card by ser push',
                                 revision=upload.revision, parent_commit=upload.parent)
    return done.commit_url


def pull(repository, out, revision=None):
    """Fetch a run into the folder `out`, whole or not at all; returns lines that people should read.

    Only KNOWN files are fetched, all of one commit, and the weights must match their sha256. Raises SerError for a
    folder that exists, a repository that is no run, files too large, damaged ones, and whatever keeps the hub away.
    """
    _check_name(repository)
    out = Path(out)
    if out.exists():
        raise SerError(f'{out}: exists already; name a folder that does not')
    api = _api(repository)
    with _explained(repository, 'fetched'):
        info = api.model_info(repository, revision=revision, files_metadata=True)
    held = _names(info)
    names = [name for name in KNOWN if name in held]
    _check_held(repository, held, names)
    log.info('%s at %s: %d files', repository, (info.sha or 'unknown')[:12], len(names))
    partial = out.with_name(f'.{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in names:
            with _explained(repository, 'fetched'):
                api.hf_hub_download(repository, name, revision=info.sha or revision, local_dir=partial)
        # The library's own notes of what it fetched.
        shutil.rmtree(partial / '.cache', ignore_errors=True)
        if not verifies(partial / WEIGHTS):
            raise SerError(f"'{repository}': {WEIGHTS} is not what its sha256 says: damaged, there or on the way. Try "
                           'again, or tell its owner')
        _check_whole(repository, open_run(partial)[0], names)
        os.replace(partial, out)
    except OSError as error:
        raise SerError(f'{out}: cannot be written: {error.strerror or error}') from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _left(held)


def _check_held(repository, held, names):
    missing = [name for name in NEEDED if name not in held]
    if missing:
        raise SerError(f"'{repository}' is no model of ser: it lacks {', '.join(missing)}. Models get there by ser "
                       'push')
    for name in names:
        if name != WEIGHTS and held[name] is None:
            raise SerError(f"'{repository}': the hub does not say how large {name} is, and at most {MOST_BYTES:,} "
                           'bytes are fetched. Try again later')
        if name != WEIGHTS and held[name] > MOST_BYTES:
            raise SerError(f"'{repository}': {name} holds {held[name]:,} bytes, at most {MOST_BYTES:,} are fetched")


def _check_whole(repository, config, names):
    missing = [name for name in needed_by(config) if name not in names]
    if missing:
        raise SerError(f"'{repository}' is no whole model: its config asks for {missing[0]}, which is not there. Its "
                       'owner can push it anew')


def _left(held):
    others = sorted(name for name in held if name not in KNOWN and name != '.gitattributes')
    if not others:
        return ()
    more = f' and {len(others) - _NAMED} more' if len(others) > _NAMED else ''
    return (f"left where they are, not being files of a run: {', '.join(others[:_NAMED])}{more}",)


def _check_name(repository):
    if not _NAME.fullmatch(repository):
        raise SerError(f"'{repository}': OWNER/NAME is wanted, such as somebody/emotions-ravdess")


def _api(repository):
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise SerError(f"'{repository}' needs the package huggingface_hub: {install('hub')}") from None
    # Its lines on every try again, at full length; what keeps the hub away is said once, by _explained.
    logging.getLogger('huggingface_hub').setLevel(logging.ERROR)
    # The library reads this variable when it is imported first, which may be long ago.
    return HfApi(endpoint=os.environ.get('HF_ENDPOINT') or None)


@contextlib.contextmanager
def _explained(repository, verb):
    """A block in which whatever the library raises becomes one line with its remedy."""
    try:
        yield
    except SerError:
        raise
    except Exception as error:
        # The library lets exceptions of whichever network library it uses through.
        status = getattr(getattr(error, 'response', None), 'status_code', None)
        known = (_REMEDIES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _REMEDIES)
        said = next(iter(str(error).strip().splitlines()), '') or type(error).__name__
        remedy = next(known, None) or _STATUS.get(status) or f"{said.rstrip('.')}. Is the hub within reach? Try again"
        raise SerError(f"'{repository}' cannot be {verb}: {remedy}") from error
