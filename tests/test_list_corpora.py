import json

import pytest

from ser.corpora import CORPORA
from ser.corpora.utterance import Corpus, CorpusFacts, Download
from ser.list_corpora import COLUMNS, as_dict, details, main, overview, sources

FACTS = CorpusFacts(
    name='one', title='The first', licence='free for research (' + 'a long licence, ' * 20 + ')', language='fr',
    homepage='https://example.org/one', speakers=1234, emotions=('happy', 'sad'), utterances=123456, example='a.wav',
    layout='any folders', obtain='a form to sign')


def test_the_table_has_a_row_for_each_corpus_and_fits(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['name', 'language', 'speakers', 'emotions', 'utterances', 'licence']
    assert [line.split()[0] for line in lines[2:2 + len(CORPORA)]] == list(CORPORA)
    assert all(len(line) <= COLUMNS for line in lines)
    ravdess = next(line for line in lines if line.startswith('ravdess'))
    assert ravdess.split()[:5] == ['ravdess', 'en', '24', '8', '1440'] and ravdess.endswith('CC BY-NC-SA 4.0')


def test_a_long_licence_is_shortened_to_fit():
    header, rule, row = overview([Corpus(FACTS, None)])
    assert len(rule) == len(row) == COLUMNS or row.endswith('...')
    assert max(map(len, (header, rule, row))) <= COLUMNS and 'free for research (a long licence' in row


def test_where_to_get_a_corpus_is_said_in_a_line_that_fits():
    facts = [corpus.facts for corpus in CORPORA.values() if corpus.facts.obtain]
    lines = list(sources(CORPORA.values()))
    assert [line.split()[0] for line in lines] == [each.name for each in facts] and 'savee' in lines[3]
    assert all(len(line) <= COLUMNS and each.homepage in line for line, each in zip(lines, facts, strict=True))
    assert [line.split()[1] == 'D' for line in lines] == [bool(each.downloads) for each in facts]
    assert not list(sources([CORPORA['csv']]))


def test_details_say_everything():
    facts = {**vars(FACTS), 'downloads': (Download('https://example.org/a.zip', 'a.zip', 1_500_000),
                                          Download('https://example.org/b.zip', 'b.zip', 500_000))}
    assert list(details(Corpus(CorpusFacts(**facts), None, options={'channel': "'1' (default) or '2'"}))) == [
        'one: The first', f'  licence: {FACTS.licence}', '  language: fr', '  speakers: 1234', '  utterances: 123456',
        '  emotions: happy, sad', '  layout: any folders', '  example: a.wav', '  homepage: https://example.org/one',
        '  how to get it: a form to sign', '  --download: works, 2.0 MB (a.zip, b.zip)',
        '  options, as --option NAME=VALUE:', "    channel: '1' (default) or '2'"]
    assert '  --download: not offered' in details(Corpus(FACTS, None))


@pytest.mark.parametrize('name', CORPORA)
def test_every_corpus_is_described(name, capsys):
    assert main([name]) == 0
    out = capsys.readouterr().out
    facts = CORPORA[name].facts
    assert out.startswith(f'{name}: {facts.title}\n') and facts.layout in out and facts.licence in out
    assert all(f'    {option}: ' in out for option in CORPORA[name].options)


def test_json_has_all_facts(capsys):
    assert main(['--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item['name'] for item in found] == list(CORPORA)
    assert main(['ravdess', '--json']) == 0
    one = json.loads(capsys.readouterr().out)
    assert one == found[0] == json.loads(json.dumps(as_dict(CORPORA['ravdess'])))
    assert set(one) == {*CorpusFacts.__dataclass_fields__, 'options'} and one['speakers'] == 24


def test_an_unknown_name_is_one_line_with_the_nearest(capsys):
    assert main(['ravdes']) == 2
    out, error = capsys.readouterr()
    assert out == '' and error.count('\n') == 1 and "unknown corpus 'ravdes'" in error
    assert "Did you mean 'ravdess'?" in error
