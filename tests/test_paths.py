"""Patterns to paths, and what is refused."""

import pytest

from ser.errors import SerError
from ser.shards.paths import MAX_NAMES, expand, expand_braces


@pytest.fixture
def folder(tmp_path):
    for name in ('a-1.tar', 'a-2.tar', 'a-10.tar', 'b[1].tar', 'index.jsonl', 'shards.json', 'skipped.csv'):
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'empty').mkdir()
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_folders_globs_braces_and_files_come_in_natural_order_once(folder):
    everything = ['a-1.tar', 'a-2.tar', 'a-10.tar', 'b[1].tar']
    assert names(expand([str(folder)])) == everything
    assert names(expand([folder])) == everything
    assert names(expand([f'{folder}/*'])) == everything
    assert names(expand([f'{folder}/a-10.tar', f'{folder}/a-{{1..2}}.tar', f'{folder}/a-*.tar'])) == everything[:3]
    assert names(expand([f'{folder}/b[1].tar'])) == ['b[1].tar']
    assert names(expand([f'{folder}/{{a-1,b*}}.tar'])) == ['a-1.tar', 'b[1].tar']


def test_braces():
    assert expand_braces('x{008..011}.tar') == ['x008.tar', 'x009.tar', 'x010.tar', 'x011.tar']
    assert expand_braces('{2..0}') == ['2', '1', '0']
    assert expand_braces('{a,b{1..2}}-{x,y}') == ['a-x', 'a-y', 'b1-x', 'b1-y', 'b2-x', 'b2-y']
    assert expand_braces('{one}{') == ['{one}{']
    assert len(expand_braces(f'{{1..{MAX_NAMES}}}')) == MAX_NAMES


@pytest.mark.parametrize('pattern', ['{0..99999999999}', '{0..999}{0..999}', '{' + '9' * 30 + '..0}'])
def test_braces_are_capped(pattern):
    with pytest.raises(SerError, match='more than 100000 names. Name the folder or use a glob'):
        expand_braces(pattern)
    with pytest.raises(SerError, match='more than 32 pairs of braces'):
        expand_braces('{a,' * 33)


@pytest.mark.parametrize('pattern', ['pipe:cat x.tar', 'http://h/x.tar', 's3://b/x.tar', 'a.tar::pipe:sh', 'file:x.tar',
                                     '{pipe:sh,x}', 'gs://x/{0..9}.tar'])
def test_urls_and_pipes_are_refused(pattern):
    with pytest.raises(SerError, match='is not a local path. URLs, pipe: and :: are refused'):
        expand([pattern], '--valid-shards')


def test_nothing_found_says_how_to_build(folder):
    with pytest.raises(SerError) as error:
        expand([f'{folder}/c/*.tar'])
    assert str(error.value) == (f'{folder}/c/*.tar: no such shards. Build them: python tools/build_shards.py ravdess '
                                f'SOURCE {folder}/c')
    with pytest.raises(SerError, match=r'a-3.tar \(from .*\): no such shards'):
        expand([f'{folder}/a-{{1..3}}.tar'])
    with pytest.raises(SerError) as error:
        expand([f'{folder}/empty'])
    assert str(error.value) == (f'{folder}/empty: no *.tar in this folder. Build them: python tools/build_shards.py '
                                f'ravdess SOURCE {folder}/empty')


def test_what_is_no_path_or_no_file():
    with pytest.raises(SerError, match='is not a path'):
        expand([''])
    with pytest.raises(SerError, match='is not a path'):
        expand(['a\nb.tar'])
    with pytest.raises(SerError, match='not a plain file'):
        expand(['/dev/null'])
