"""`ser completion bash|zsh|fish`: a script that lets the shell complete commands, options, presets and runs."""

import importlib
import sys
from collections import defaultdict
from dataclasses import dataclass

from ser.command import DONE, Parser, run_command

EPILOG = """\
bash: ser completion bash > ~/.local/share/bash-completion/completions/ser
zsh:  ser completion zsh > FOLDER/_ser, where FOLDER is one of $fpath (before compinit)
fish: ser completion fish > ~/.config/fish/completions/ser.fish
The script is made of the commands as they are now: make it anew after an update."""

SHELLS = ('bash', 'zsh', 'fish')
DEVICES = ('auto', 'cpu', 'cuda', 'mps')
# What the name of a value in the help says about it; anything else cannot be completed.
_KINDS = {'RUN': 'run', 'FILE|NAME': 'config', 'CONFIG': 'config', 'TAR': 'path', 'NAME=TAR': 'path', 'FILE': 'path',
          'FILE.html': 'path', 'FILE.png': 'path', 'DIR': 'path', 'SOURCE': 'path', 'OUT': 'path', 'CLIP': 'path',
          'FOLDER': 'path'}
_WIDEST_HELP = 90


@dataclass(frozen=True)
class Slot:
    """Where a word can stand: after an option, or as an argument.

    name: the option, or the argument's number from 1, '[0-9]*' for that and all further ones. takes: '0', '1' or '+'
    words. kind: 'words' (one of `values`), 'config' (those or a YAML file), 'run', 'path' or 'free'.
    """

    name: str
    takes: str
    kind: str
    values: tuple = ()
    help: str = ''


def parser():
    """The command line of ser completion."""
    p = Parser(prog='ser completion', description=__doc__, epilog=EPILOG)
    p.add_argument('shell', choices=SHELLS, help='which shell the script is for')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    print(script(args.shell), end='')
    return DONE


def script(shell):
    """The text of the script for one of SHELLS."""
    from ser.cli import COMMANDS

    slots = {name: slots_of(name, importlib.import_module(module).parser()) for name, (module, _) in COMMANDS.items()}
    about = {name: text for name, (_, text) in COMMANDS.items()}
    if shell == 'fish':
        return fish(slots, about)
    text = BASH if shell == 'bash' else ZSH
    described = '\n'.join(f'            {_quoted(f"{name}:{text}")}' for name, text in about.items())
    return (text.replace('@COMMANDS@', ' '.join(slots)).replace('@DESCRIBED@', described)
            .replace('@TABLES@', tables(slots)))


def slots_of(command, made):
    """Every Slot of a command's argparse parser, options first."""
    options, arguments = [], []
    for action in made._actions:
        kind, values = kind_of(command, action)
        takes = '0' if action.nargs == 0 else '+' if action.nargs in ('+', '*') else '1'
        words = ' '.join((action.help or '').replace('%%', '%').split())
        words = words if len(words) <= _WIDEST_HELP else words[:_WIDEST_HELP].rsplit(' ', 1)[0] + ' ...'
        if action.option_strings:
            options += [Slot(name, takes, kind, values, words) for name in action.option_strings]
        else:
            arguments.append(Slot('[0-9]*' if takes == '+' else str(len(arguments) + 1), takes, kind, values, words))
    return (*options, *arguments)


def kind_of(command, action):
    """(kind, values) of an action of argparse, by its choices, its name and what its value is called."""
    from ser.config.presets import preset_names

    name = action.option_strings[-1] if action.option_strings else action.dest
    if action.nargs == 0:
        return 'free', ()
    if action.choices:
        return 'words', tuple(map(str, action.choices))
    if name == '--device':
        return 'words', DEVICES
    if name == '--protocol':
        return 'words', protocols()
    if action.metavar == 'CORPUS' or (command, name) == ('corpora', 'name'):
        from ser.corpora import CORPORA

        return 'words', tuple(CORPORA)
    # The folder that a run is written to is no run yet.
    kind = 'path' if name == '--out' else _KINDS.get(action.metavar, 'free')
    kind = 'config' if (command, name) == ('config', 'name') else kind
    return kind, preset_names() if kind == 'config' else ()


def protocols():
    """Every protocol.kind of the config."""
    from typing import get_args

    from ser.config.schema import Config

    union = Config.model_fields['protocol'].annotation
    return tuple(section.model_fields['kind'].default for section in get_args(union))


def tables(slots):
    """Two shell functions: what the word after an option or in a place may be, and the options of a command."""
    alike = defaultdict(list)
    for command, found in slots.items():
        for slot in found:
            pattern = f"'{command} '{slot.name}" if slot.name == '[0-9]*' else f"'{command} {slot.name}'"
            alike[slot.takes, slot.kind, ' '.join(slot.values)].append(pattern)
    lines = ['_ser_slot() {', '    takes=1 kind=free values=', '    case "$1 $2" in']
    for (takes, kind, values), patterns in alike.items():
        lines += [f'    {"|".join(patterns)})', f'        takes={takes} kind={kind} values={_quoted(values)} ;;']
    lines += ['    esac', '}', '_ser_options() {', '    case $1 in']
    for command, found in slots.items():
        names = ' '.join(slot.name for slot in found if slot.name.startswith('-'))
        lines.append(f"    {command}) options='{names}' ;;")
    return '\n'.join([*lines, "    *) options='' ;;", '    esac', '}'])


def fish(slots, about):
    """The script for fish, which takes one line for each option."""
    lines = ['# Completion of ser for fish, made by: ser completion fish', FISH_RUNS, 'complete -c ser -f']
    for command, found in slots.items():
        lines.append(f'complete -c ser -n __fish_use_subcommand -a {command} -d {_fish_quoted(about[command])}')
        when = f"-n '__fish_seen_subcommand_from {command}'"
        for slot in found:
            option = slot.name.startswith('-')
            name = f' -l {slot.name[2:]}' if slot.name.startswith('--') else f' -s {slot.name[1:]}' if option else ''
            value = {'words': '-a', 'config': '-a', 'run': '-a', 'path': '-F'}.get(slot.kind, '')
            if not option and not value:
                continue
            given = f" -a {_fish_quoted(' '.join(slot.values))}" if slot.values else \
                " -a '(__ser_runs)'" if slot.kind == 'run' else ''
            takes = '' if slot.takes == '0' or not option else ' -r' if slot.kind in ('path', 'config') else ' -x'
            files = ' -F' if slot.kind in ('path', 'config') else ''
            lines.append(f'complete -c ser {when}{name}{takes}{files}{given} -d {_fish_quoted(slot.help)}')
    return '\n'.join(lines) + '\n'


def _quoted(text):
    """A text as one word of bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text):
    return "'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


BASH = r'''# Completion of ser for bash, made by: ser completion bash
@TABLES@
_ser_words() {
    local word
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <("$@")
}
_ser_runs() {
    local path
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do
        if [[ -f $path/config.yaml ]]; then COMPREPLY+=("$path"); fi
    done < <(compgen -d -- "$1"; if [[ $1 != */* ]]; then compgen -d -- "runs/$1"; fi)
    # No run here: the folders on the way to one.
    if (( ${#COMPREPLY[@]} == 0 )); then _ser_words compgen -d -- "$1"; fi
}
_ser() {
    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} open= place=1 i word takes kind values options
    COMPREPLY=()
    if (( COMP_CWORD < 2 )); then
        _ser_words compgen -W '@COMMANDS@' -- "$cur"
        return
    fi
    for (( i = 2; i < COMP_CWORD; i++ )); do
        word=${COMP_WORDS[i]}
        if [[ $word == '=' ]]; then continue; fi
        if [[ $word == -* ]]; then
            _ser_slot "$command" "$word"
            open=$word
            if [[ $takes == 0 ]]; then open=; fi
        elif [[ -n $open ]]; then
            _ser_slot "$command" "$open"
            if [[ $takes == 1 ]]; then open=; fi
        else
            place=$(( place + 1 ))
        fi
    done
    if [[ $cur == '=' ]]; then cur=; fi
    if [[ $cur == -* ]]; then
        _ser_options "$command"
        _ser_words compgen -W "$options" -- "$cur"
        return
    fi
    _ser_slot "$command" "${open:-$place}"
    case $kind in
    words) _ser_words compgen -W "$values" -- "$cur" ;;
    config)
        compopt -o filenames 2>/dev/null
        _ser_words compgen -W "$values" -- "$cur"
        _ser_words compgen -f -X '!*.y*ml' -- "$cur"
        _ser_words compgen -d -- "$cur" ;;
    run) _ser_runs "$cur" ;;
    path)
        compopt -o filenames 2>/dev/null
        _ser_words compgen -f -- "$cur" ;;
    esac
}
complete -F _ser ser
'''

ZSH = r'''#compdef ser
# Completion of ser for zsh, made by: ser completion zsh
@TABLES@
_ser() {
    local cur=${words[CURRENT]} command=${words[2]} open= place=1 i word takes kind values options
    local -a described runs
    if (( CURRENT == 2 )); then
        described=(
@DESCRIBED@
        )
        _describe command described
        return
    fi
    for (( i = 3; i < CURRENT; i++ )); do
        word=${words[i]}
        if [[ $word == --*=* ]]; then
            open=
        elif [[ $word == -* ]]; then
            _ser_slot "$command" "$word"
            open=$word
            if [[ $takes == 0 ]]; then open=; fi
        elif [[ -n $open ]]; then
            _ser_slot "$command" "$open"
            if [[ $takes == 1 ]]; then open=; fi
        else
            place=$(( place + 1 ))
        fi
    done
    if [[ $cur == --*=* ]]; then
        open=${cur%%=*}
        compset -P '*='
    elif [[ $cur == -* ]]; then
        _ser_options "$command"
        compadd -- ${=options}
        return
    fi
    _ser_slot "$command" "${open:-$place}"
    case $kind in
    words) compadd -- ${=values} ;;
    config)
        compadd -- ${=values}
        _files -g '*.(yaml|yml)' ;;
    run)
        runs=(*/config.yaml(N:h) runs/*/config.yaml(N:h))
        compadd -f -- $runs
        _directories ;;
    path) _files ;;
    esac
}
if [[ $funcstack[1] == _ser ]]; then _ser "$@"; else compdef _ser ser; fi
'''

FISH_RUNS = r'''function __ser_runs
    for file in */config.yaml runs/*/config.yaml (commandline -ct)*/config.yaml
        string replace -r '/config.yaml$' '' -- $file
    end
    __fish_complete_directories
end'''

if __name__ == '__main__':
    sys.exit(main())
