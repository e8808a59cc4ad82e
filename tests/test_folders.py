"""Folders of this machine in texts, configs and commands: the last name is left, nothing else is changed."""

import pytest

from ser.evaluation.folders import command_named, paths_named, without_folders


@pytest.mark.parametrize(('text', 'left'), [
    ('/home/me/data/ravdess: 2 of 3 are used', 'ravdess: 2 of 3 are used'), ('in `~/a/b.tar`.', 'in `b.tar`.'),
    (r'C:\Users\me\x.tar', 'x.tar'), ('https://zenodo.org/records/1', 'https://zenodo.org/records/1'),
    ('15/4/5 speakers in train/valid/test', '15/4/5 speakers in train/valid/test'), ('speech and/or song', None),
    ("set 'a=/x/y z'", "set 'a=y z'"), ('data/ravdess', None)])
def test_folders_are_left_out_of_texts(text, left):
    assert without_folders({'notes': [text, 1, None]}) == {'notes': [left or text, 1, None]}


def test_paths_are_their_last_names_whatever_characters_they_have():
    paths = {'shards': ['a=/mnt/my disk/a b', '~/b', 'data/c', r'C:\d e\f', '../of me/g', '/'], 'rate': 3, 'x': None}
    assert paths_named(paths) == {'shards': ['a=a b', 'b', 'data/c', 'f', 'g', 'folder'], 'rate': 3, 'x': None}


@pytest.mark.parametrize(('line', 'left'), [
    ("/opt/venv/bin/python -m ser.train --shards '/mnt/my disk/a b' data/c --out ../run --set run.threads=1",
     "python -m ser.train --shards 'a b' data/c --out run --set run.threads=1"),
    ('ser train --set data.shards=[/mnt/a,/mnt/b] --config=/home/me/x.yaml',
     "ser train --set 'data.shards=[a,b]' --config=x.yaml"),
    ("ser train '/home/me/a", "ser train 'a")])
def test_commands_keep_their_words(line, left):
    assert command_named(line) == left
