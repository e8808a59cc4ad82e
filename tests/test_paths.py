"""Patterns to paths, and what is refused."""

import pytest

from ser.errors import SerError
from ser.shards.paths import MAX_NAMES, expand, expand_braces, expand_sets, set_of


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


def test_links_that_go_round_are_searched_once(folder):
    for name in ('round', 'empty/back'):
        (folder / name).symlink_to(folder)
    assert names(expand([f'{folder}/**/a-*.tar'])) == ['a-1.tar', 'a-2.tar', 'a-10.tar']


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


def test_a_compressed_tar_is_not_passed_over_in_silence(folder, caplog):
    for name in ('x.tar.gz', 'y.tgz'):
        (folder / 'empty' / name).touch()
    with pytest.raises(SerError, match=r'empty: no \*.tar in this folder, but x.tar.gz: .* Unpack it'):
        expand([folder / 'empty'])
    (folder / 'empty' / 'z.tar').touch()
    assert names(expand([folder / 'empty'])) == names(expand([folder / 'empty'])) == ['z.tar']
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and 'empty: not read: x.tar.gz and 1 more: ' in said[0]


def test_what_is_no_path_or_no_file():
    with pytest.raises(SerError, match='is not a path'):
        expand([''])
    with pytest.raises(SerError, match='is not a path'):
        expand(['a\nb.tar'])
    with pytest.raises(SerError, match='not a plain file'):
        expand(['/dev/null'])


def test_sets_have_names_and_several_patterns(tmp_path):
    for name in ('one/a.tar', 'one/b.tar', 'two/a.tar', 'x=y/z.tar'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    pairs = expand_sets([f'two={tmp_path}/two', f'one={tmp_path}/one/a.tar', f'one={tmp_path}/one/b*'])
    assert [(name, path.parent.name, path.name) for name, path in pairs] == [
        ('one', 'one', 'a.tar'), ('one', 'one', 'b.tar'), ('two', 'two', 'a.tar')]
    assert expand_sets([str(tmp_path / 'one')]) == [(None, path) for path in expand([tmp_path / 'one'])]


def test_a_path_with_an_equals_sign_stays_a_path(tmp_path, monkeypatch):
    (tmp_path / 'x=y').mkdir()
    (tmp_path / 'x=y' / 'z.tar').write_bytes(b'')
    monkeypatch.chdir(tmp_path)
    for entry in ('x=y', './x=y/*.tar', str(tmp_path / 'x=y')):
        assert set_of(entry)[0] is None
        assert [(name, path.name) for name, path in expand_sets([entry])] == [(None, 'z.tar')]
    assert set_of('x=y/z*.tar') == ('x', 'y/z*.tar') and set_of('a.b-c+d=p=q') == ('a.b-c+d', 'p=q')
    assert set_of('-x=y')[0] is None and set_of('a b=y')[0] is None


def test_sets_that_contradict(tmp_path):
    for name in ('a.tar', 'b.tar'):
        (tmp_path / name).write_bytes(b'')
    a, b = tmp_path / 'a.tar', tmp_path / 'b.tar'
    for entries, said in (
            ([f'one={a}', str(b)], f"--shards: {b} is in no set, but others are in 'one'. Name every entry"),
            ([f'one={a}', f'two={tmp_path}'], f"--shards: {a} is in both sets 'one' and 'two'"),
            (['one='], "--shards: 'one=' names no shards for the set; write one=FOLDER"),
            ([f'one={tmp_path}/c.tar'], f'{tmp_path}/c.tar: no such shards'),
            (['one=http://x/y.tar'], 'is not a local path')):
        with pytest.raises(SerError) as error:
            expand_sets(entries)
        assert said in str(error.value) and '\n' not in str(error.value)
