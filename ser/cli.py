"""`ser COMMAND`: the one entry point; each command's arguments are its own module's."""

import importlib
import sys

from ser.errors import did_you_mean

COMMANDS = {
    'train': ('ser.train', 'train a model and score it'),
    'shards': ('ser.build_shards', 'corpus folder to WebDataset shards'),
    'evaluate': ('ser.evaluate', 'recompute the scores of a run, or score it on other shards'),
    'compare': ('ser.compare', 'which run is better, by how much, and how sure that is'),
    'matrix': ('ser.matrix', 'train on each corpus, test on every one: a table and a heat map'),
    'ablate': ('ser.ablate', 'train variants of one config on one split, ranked by validation'),
    'report': ('ser.report', 'one HTML page with everything a run says of itself'),
    'doctor': ('ser.doctor', 'what is wrong with shards, clip by clip, and their good samples in new ones'),
    'audit': ('ser.audit', 'who is in which part, and whether a test part leaks into training'),
    'predict': ('ser.predict', 'class probabilities of audio files, over time, of the microphone'),
    'inspect': ('ser.inspect', 'what a model sees of a file, how it comes there, what a trained run used of it'),
    'serve': ('ser.serve', 'a trained run as a web page and an HTTP API'),
    'export': ('ser.export', 'a run as one file, front end inside: ONNX, torch.export, safetensors'),
    'push': ('ser.push', 'send a trained model and its card to the Hugging Face hub'),
    'pull': ('ser.pull', 'fetch a model from there'),
    'benchmark': ('ser.benchmark', 'what each stage costs on this machine, beside its rivals'),
    'config': ('ser.show_config', 'show a resolved config, or the JSON schema'),
    'corpora': ('ser.list_corpora', 'the corpora that can be built into shards'),
    'completion': ('ser.completion', 'a script that lets bash, zsh or fish complete these commands'),
}


def usage():
    """The help text."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:<{width}}  {text}' for name, (_, text) in COMMANDS.items()]
    return 'usage: ser COMMAND ...\n\nSpeech emotion recognition on raw audio streamed to the device.\n\n' + '\n'.join(
        [*lines, '', 'ser COMMAND --help describes one.'])


def main(argv=None):
    """Run the command named first; returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ('-h', '--help'):
        print(usage())
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f"ser: unknown command '{argv[0]}'.{did_you_mean(argv[0], COMMANDS)} Commands: {', '.join(COMMANDS)}",
              file=sys.stderr)
        return 2
    return importlib.import_module(COMMANDS[argv[0]][0]).main(argv[1:])


if __name__ == '__main__':
    sys.exit(main())
