"""Globs: those of the standard library where no links go round, and finite where some do."""

import glob

import pytest

from ser.shards.globs import globbed


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ('a.tar', 'one/b.tar', 'one/two/c.tar', 'one/two/note.txt', '.hidden/d.tar', 'one/.also/e.tar',
                 'odd[1]/f.tar'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('pattern', ['*.tar', '**/*.tar', 'one/**/*.tar', 'o*/**/c.tar', '**/two/*', 'one/*/**/*.t?r',
                                     '**/**/c.tar', 'gone/**/*.tar', '**/f.*'])
def test_matches_are_those_of_the_standard_library(tree, pattern):
    assert set(globbed(pattern)) == set(glob.glob(pattern, recursive=True))
    assert set(globbed(str(tree / pattern))) == set(glob.glob(str(tree / pattern), recursive=True))


def test_links_that_go_round_are_searched_once(tree):
    for name in ('x', 'one/y', 'one/two/z'):
        (tree / name).symlink_to(tree)
    found = globbed(str(tree / '**' / '*.tar'))
    assert sorted(name.rpartition('/')[2] for name in found) == ['a.tar', 'b.tar', 'c.tar', 'f.tar']
