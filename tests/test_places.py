"""Places to write to: what is refused before anything is computed."""

import pytest

from ser.errors import SerError
from ser.inference.places import check_places
from ser.inference.recordings import Named, Span


def test_what_can_be_written_is_let_through(tmp_path):
    (tmp_path / 'old.csv').touch()
    check_places('--out', [None, tmp_path / 'old.csv', tmp_path / 'new' / 'folders' / 'x.csv'],
                 [Named(tmp_path / 'a.wav'), Named(tmp_path / 'gone.wav', 'no such file')])


@pytest.mark.parametrize(('place', 'said'), [
    ('folder', 'folder: a file is wanted, and this is a folder. Name a file in it'),
    ('a.wav', 'a.wav: is one of the recordings. Choose another name'),
    ('link.wav', 'link.wav: is one of the recordings'), ('x.tar', 'x.tar: is one of the recordings'),
    ('a.wav/x/y.csv', 'a.wav. Choose another place')])
def test_refusals_name_option_and_place(tmp_path, place, said):
    (tmp_path / 'folder').mkdir()
    for name in ('a.wav', 'x.tar'):
        (tmp_path / name).touch()
    (tmp_path / 'link.wav').hardlink_to(tmp_path / 'a.wav')
    named = [Named(tmp_path / 'a.wav'), Named(tmp_path / 'x.tar/key', span=Span(tmp_path / 'x.tar', 0, 1, '.wav', ''))]
    with pytest.raises(SerError) as caught:
        check_places('--picture', [tmp_path / place], named)
    assert str(caught.value).startswith('--picture ') and said in str(caught.value)


def test_a_folder_that_forbids_it(tmp_path, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: path != tmp_path)
    with pytest.raises(SerError, match=f'nothing can be written in {tmp_path}. Choose another place'):
        check_places('--out', [tmp_path / 'new' / 'x.csv'], [])
