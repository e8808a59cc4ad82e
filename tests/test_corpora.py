import pytest

from ser.corpora import CORPORA, read_corpus
from ser.errors import SerError


def test_each_entry_is_called_what_its_facts_say():
    assert all(name == corpus.facts.name for name, corpus in CORPORA.items())
    assert all(corpus.facts.licence and corpus.facts.layout for corpus in CORPORA.values())


def test_an_unknown_corpus_lists_the_known_and_the_nearest(tmp_path):
    with pytest.raises(SerError, match="unknown corpus 'ravdes'. Known: ravdess.* Did you mean 'ravdess'"):
        read_corpus('ravdes', tmp_path)


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(SerError, match='needs a source'):
        read_corpus('emodb')
    with pytest.raises(SerError, match='no such folder'):
        read_corpus('emodb', tmp_path / 'none')


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SerError, match=r'no ravdess recording in .* found nothing at all'):
        read_corpus('ravdess', tmp_path)
