"""The one exception users meet."""


class SerError(Exception):
    """A mistake the user can put right, or a file that cannot be used.

    The message is one line: what was wrong, what was given, what is allowed, what to do.
    Commands print it and exit with code 2; `--debug` adds the traceback.
    """


def install(extra):
    """How to get the packages of an optional part of the project, for messages."""
    return f"pip install -e '.[{extra}]' in the checkout"


def nearest(word, allowed):
    """The entry of `allowed` closest in spelling to `word`, or None when none is close."""
    import difflib

    matches = difflib.get_close_matches(str(word), [str(a) for a in allowed], n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word, allowed):
    """`" Did you mean 'x'?"` for the nearest allowed entry, or the empty string."""
    match = nearest(word, allowed)
    return f" Did you mean '{match}'?" if match else ''
