"""`ser corpora`: the corpora that can be built into shards; with a name, all that is known of one."""

import sys

from ser.command import Parser, run_command

COLUMNS = 120
_HEADER = ('name', 'language', 'speakers', 'emotions', 'utterances', 'licence')


def parser():
    """The command line of ser corpora."""
    p = Parser(prog='ser corpora', description=__doc__)
    p.add_argument('name', metavar='NAME', nargs='?', help='a corpus: its licence, layout, options, how to get it')
    p.add_argument('--json', action='store_true', help='all facts as JSON: a list, or with NAME one object')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.corpora import CORPORA, find_corpus

    if args.json:
        import json

        found = as_dict(find_corpus(args.name)) if args.name else [as_dict(corpus) for corpus in CORPORA.values()]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif args.name:
        for line in details(find_corpus(args.name)):
            print(line)
    else:
        for line in overview(CORPORA.values()):
            print(line)
        print('\nwhere to get them (D: --download fetches it):')
        for line in sources(CORPORA.values()):
            print(line)
        print('\nser corpora NAME says more of one.')


def as_dict(corpus):
    """The facts and options of a Corpus as JSON values."""
    from dataclasses import asdict

    return {**asdict(corpus.facts), 'options': dict(corpus.options)}


def overview(corpora):
    """Lines of a table of corpora, at most COLUMNS wide: licences that are longer end in '...'."""
    from ser.evaluation.tables import text_table

    rows = [(facts.name, facts.language, facts.speakers, len(facts.emotions) or 'any', facts.utterances,
             facts.licence) for facts in (corpus.facts for corpus in corpora)]
    before = len(text_table(_HEADER[:-1], [row[:-1] for row in rows], 'llrrr')[1]) + 2
    return text_table(_HEADER, [(*row[:-1], _shortened(row[-1], COLUMNS - before)) for row in rows], 'llrrrl')


def sources(corpora):
    """Lines that say where and how each corpus is obtained, of those that somebody holds; at most COLUMNS wide."""
    held = [corpus.facts for corpus in corpora if corpus.facts.obtain]
    name_width = max((len(facts.name) for facts in held), default=0)
    for facts in held:
        # The address is never cut.
        start = f'{facts.name:<{name_width}}  {"D" if facts.downloads else " "}  {facts.homepage or ""}  '
        yield start + _shortened(facts.obtain, COLUMNS - len(start))


def _shortened(text, width):
    return text if len(text) <= width else text[:width - 3].rstrip(' ,;:(') + '...'


def details(corpus):
    """Lines that say all that is known of a corpus."""
    facts = corpus.facts
    yield f'{facts.name}: {facts.title}'
    for label, value in (('licence', facts.licence), ('language', facts.language),
                         ('speakers', facts.speakers), ('utterances', facts.utterances),
                         ('emotions', ', '.join(facts.emotions) or 'any label is a class'), ('layout', facts.layout),
                         ('example', facts.example), ('homepage', facts.homepage), ('how to get it', facts.obtain),
                         ('--download', _download(facts))):
        if value:
            yield f'  {label}: {value}'
    for number, (name, text) in enumerate(corpus.options.items()):
        if not number:
            yield '  options, as --option NAME=VALUE:'
        yield f'    {name}: {text}'


def _download(facts):
    from ser.corpora.download import download_size

    if not facts.downloads:
        return 'not offered'
    files = ', '.join(item.file for item in facts.downloads[:3]) + (' ...' if len(facts.downloads) > 3 else '')
    return f'works, {download_size(facts.downloads)} ({files})'


if __name__ == '__main__':
    sys.exit(main())
