import re
from urllib.parse import urlsplit

import pytest

from ser.corpora import CORPORA, read_corpus
from ser.corpora.utterance import Corpus
from ser.errors import SerError
from ser.labels import ordered

EACH = pytest.mark.parametrize('corpus', CORPORA.values(), ids=CORPORA)


@EACH
def test_an_entry_is_called_what_its_facts_say_and_they_are_complete(corpus):
    facts = corpus.facts
    assert CORPORA[facts.name] is corpus and re.fullmatch(r'[a-z][a-z0-9-]*', facts.name)
    assert facts.title and facts.licence and facts.layout and facts.example
    assert facts.emotions == ordered(facts.emotions)
    assert facts.language is None or re.fullmatch('[a-z]{2,3}', facts.language)
    assert all(text and '\n' not in text for text in (facts.title, facts.licence, facts.layout, facts.example))
    assert '\n' not in facts.obtain and all(text and '\n' not in text for text in corpus.options.values())


@EACH
def test_downloads_can_be_fetched_and_verified(corpus):
    names = [item.file for item in corpus.facts.downloads]
    assert len(set(names)) == len(names)
    for item in corpus.facts.downloads:
        assert urlsplit(item.url).scheme in ('http', 'https') and urlsplit(item.url).hostname
        assert re.fullmatch(r'[^/\\.][^/\\]*', item.file)
        assert item.bytes is None or item.bytes > 0
        assert item.checksum is None or re.fullmatch('md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}', item.checksum)
        assert (item.checksum is None) == (item.checksum_source is None)


def test_an_unknown_corpus_lists_the_known_and_the_nearest(tmp_path):
    with pytest.raises(SerError, match="unknown corpus 'ravdes'. Known: ravdess.* Did you mean 'ravdess'"):
        read_corpus('ravdes', tmp_path)


def test_an_unknown_option_lists_the_known_and_the_nearest(tmp_path, monkeypatch):
    monkeypatch.setitem(CORPORA, 'one', Corpus(CORPORA['csv'].facts, lambda source, part='': iter(()),
                                               options={'part': 'which'}))
    with pytest.raises(SerError, match="'one' has no option 'prat'. Its options: part. Did you mean 'part'"):
        read_corpus('one', tmp_path, {'prat': 'a'})
    monkeypatch.setitem(CORPORA, 'one', Corpus(CORPORA['csv'].facts, lambda source: iter(())))
    with pytest.raises(SerError, match="'one' has no option 'part'. Its options: none"):
        read_corpus('one', tmp_path, {'part': 'a'})


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(SerError, match='needs a source'):
        read_corpus('emodb')
    with pytest.raises(SerError, match='no such folder'):
        read_corpus('emodb', tmp_path / 'none')


def test_what_the_system_refuses_to_read_is_one_line(tmp_path):
    (tmp_path / 'Labels/labels_consensus.csv').mkdir(parents=True)
    with pytest.raises(SerError, match="cannot read '.*labels_consensus.csv': ") as error:
        read_corpus('msp-podcast', tmp_path)
    assert '\n' not in str(error.value)


def test_a_table_of_recordings_that_are_not_there_is_refused_with_their_number(tmp_path):
    (tmp_path / 'Labels').mkdir()
    (tmp_path / 'Labels/labels_consensus.csv').write_text('FileName,EmoClass\na.wav,N\nb.wav,A\n')
    with pytest.raises(SerError, match=r"2 x missing file, first 'a.wav' \(labels_consensus.csv line 2\). Layout"):
        read_corpus('msp-podcast', tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SerError, match=r'no ravdess recording in .* found nothing at all'):
        read_corpus('ravdess', tmp_path)
