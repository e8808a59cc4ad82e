import errno
import os
from pathlib import Path

import pytest

from ser.corpora.scan import find_audio, parse_names
from ser.corpora.utterance import Skip, Utterance
from ser.errors import SerError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_finds_any_audio_suffix_at_any_depth_in_natural_order(tmp_path):
    touch(tmp_path, 'b10.WAV', 'B2.flac', 'a/x/y/z.mp3', 'a/10.ogg', 'a/9.aiff')
    found, skips = find_audio(tmp_path)
    assert found == ['a/9.aiff', 'a/10.ogg', 'a/x/y/z.mp3', 'B2.flac', 'b10.WAV']
    assert skips == []


def test_passed_over_files_are_named_with_a_reason(tmp_path):
    touch(tmp_path, 'a.wav', '._a.wav', '.DS_Store', 'README.md', 'clip.mp4', '__MACOSX/._a.wav', '.git/config')
    found, skips = find_audio(tmp_path)
    assert found == ['a.wav']
    assert {skip.relative: skip.reason for skip in skips} == {
        '._a.wav': 'hidden file', '.DS_Store': 'hidden file', 'README.md': 'not an audio file',
        'clip.mp4': 'not an audio file', '__MACOSX': 'hidden folder', '.git': 'hidden folder'}
    assert not any(skip.bad for skip in skips)


def test_linked_folders_are_followed_once(tmp_path):
    touch(tmp_path, 'outside/a.wav', 'corpus/b.wav')
    (tmp_path / 'corpus/linked').symlink_to(tmp_path / 'outside')
    (tmp_path / 'outside/loop').symlink_to(tmp_path / 'corpus')
    found, skips = find_audio(tmp_path / 'corpus')
    assert found == ['b.wav', 'linked/a.wav']
    assert [skip.reason for skip in skips] == ['link to a folder already seen']


def test_a_folder_that_cannot_be_read_is_bad(tmp_path, monkeypatch):
    touch(tmp_path, 'a.wav', 'locked/b.wav')
    real = os.scandir

    def scandir(folder):
        if Path(folder).name == 'locked':
            raise PermissionError(errno.EACCES, 'Permission denied', str(folder))
        return real(folder)

    monkeypatch.setattr(os, 'scandir', scandir)
    assert find_audio(tmp_path) == (
        ['a.wav'], [Skip('locked', 'folder cannot be read', 'Permission denied', bad=True)])


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    with pytest.raises(SerError, match='no such folder'):
        find_audio(tmp_path / 'nothing')
    touch(tmp_path, 'a.wav')
    with pytest.raises(SerError, match='is not a folder'):
        find_audio(tmp_path / 'a.wav')


def test_the_same_name_in_another_folder_is_taken_once(tmp_path):
    touch(tmp_path, 'one/a.wav', 'two/a.wav')

    def describe(path, relative):
        return Utterance(path, relative, 'c', 'happy', 'happy')

    found = list(parse_names(Path(tmp_path), describe))
    assert found[0].relative == 'one/a.wav'
    assert found[1] == Skip('two/a.wav', 'the same name in another folder', 'as one/a.wav')


def describe(path, relative):
    return Utterance(path, relative, 'c', 'happy', 'happy')


def relatives(found):
    return [item.relative for item in found if isinstance(item, Utterance)]


def test_of_a_recording_in_two_formats_the_lossless_one_is_taken(tmp_path):
    touch(tmp_path, 'AudioMP3/a.mp3', 'AudioWAV/a.wav', 'AudioMP3/b.mp3', 'c.flac', 'c.ogg')
    found = list(parse_names(tmp_path, describe))
    assert [(item.relative, getattr(item, 'reason', None)) for item in found] == [
        ('AudioMP3/a.mp3', 'the same name in another folder'), ('AudioMP3/b.mp3', None), ('AudioWAV/a.wav', None),
        ('c.flac', None), ('c.ogg', 'the same recording under another name')]
    assert found[0].detail == 'as AudioWAV/a.wav'


def test_names_are_the_same_however_their_accents_are_put(tmp_path):
    touch(tmp_path, 'a/Col\u00e8re1.wav', 'b/Cole\u0300re1.wav')
    assert relatives(parse_names(tmp_path, describe)) == ['a/Col\u00e8re1.wav']


def test_a_corpus_says_what_tells_its_recordings_apart(tmp_path):
    touch(tmp_path, 'one/a.wav', 'two/a.wav', 'two/b.wav')
    by_folder = parse_names(tmp_path, describe, same=lambda found: found.relative)
    assert relatives(by_folder) == ['one/a.wav', 'two/a.wav', 'two/b.wav']
    by_path = list(parse_names(tmp_path, describe, same=lambda found: found.path.parent.name))
    assert relatives(by_path) == ['one/a.wav', 'two/a.wav']
    assert by_path[2] == Skip('two/b.wav', 'the same recording under another name', 'as two/a.wav')
