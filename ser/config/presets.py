"""Where presets are: the checkout's `configs/` beside the package, else the wheel's package data."""

from pathlib import Path

from ser.errors import SerError, did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent


def preset_folder(package=PACKAGE):
    """The folder that holds `base.yaml` and the other presets.

    Raises SerError when neither place has it, which means a damaged installation.
    """
    for folder in (package.parent / 'configs', package / 'presets'):
        if (folder / 'base.yaml').is_file():
            return folder
    raise SerError(f'no presets beside {package}: the installation is damaged; install serstream again')


def preset_names():
    """Every preset, by stem, in alphabetical order."""
    return tuple(sorted(path.stem for path in preset_folder().glob('*.yaml')))


def find(name, beside=None):
    """The file of a config given as a path or as a preset's stem; a path is tried `beside` a file first.

    Raises SerError for a file that does not exist and for an unknown preset.
    """
    text = str(name)
    if text.endswith(('.yaml', '.yml')) or '/' in text or '\\' in text:
        for path in ([Path(beside).parent / text] if beside else []) + [Path(text)]:
            if path.is_file():
                return path
        raise SerError(f'{text}: no such config file. Give a YAML file, or a preset: {", ".join(preset_names())}')
    path = preset_folder() / f'{text}.yaml'
    if not path.is_file():
        raise SerError(f"unknown preset '{text}'. Presets: {', '.join(preset_names())}; or give a YAML file."
                       f'{did_you_mean(text, preset_names())}')
    return path
