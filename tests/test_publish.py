import json

import pytest

from ser.errors import SerError
from ser.shards import publish
from ser.shards.publish import INDEX, MANIFEST, PARTIAL, check_out, staging, unfinished, write_file


def stage(folder, names=('a-00000.tar', 'a-00001.tar')):
    for name in names:
        write_file(folder / name, name.encode())
    write_file(folder / INDEX, b'{}\n')
    write_file(folder / MANIFEST, json.dumps({'shards': [{'name': name} for name in names]}).encode())


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_appear_together_at_the_end(tmp_path):
    out = tmp_path / 'new' / 'out'
    with staging(out) as folder:
        stage(folder)
        assert listing(out) == [PARTIAL] and unfinished(out)
    assert not unfinished(out)
    assert listing(out) == ['a-00000.tar', 'a-00001.tar', INDEX, MANIFEST]


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, error):
    out = tmp_path / 'out'
    with pytest.raises(error), staging(out) as folder:
        stage(folder)
        raise error
    assert not out.exists()
    out.mkdir()
    (out / 'mine.txt').touch()
    with pytest.raises(error), staging(out) as folder:
        stage(folder)
        raise error
    assert listing(out) == ['mine.txt']


@pytest.mark.parametrize('moved', [0, 1, 2, 3, 4])
def test_a_build_killed_while_its_files_were_moving_is_cleared_by_the_next(tmp_path, moved):
    out = tmp_path / 'out'
    partial = out / PARTIAL
    partial.mkdir(parents=True)
    stage(partial)
    order = ['a-00000.tar', 'a-00001.tar', INDEX, MANIFEST]
    for name in order[:min(moved, 3)]:
        (partial / name).rename(out / name)
    if moved == 4:
        # Everything but the hidden folder's removal was done: the build is whole, so it is refused, not lost.
        (partial / MANIFEST).rename(out / MANIFEST)
        with pytest.raises(SerError, match='already holds shards'), staging(out):
            pass
        assert listing(out) == order
        return
    with staging(out) as folder:
        assert listing(out) == [PARTIAL]
        stage(folder, ['a-00000.tar'])
    assert listing(out) == ['a-00000.tar', INDEX, MANIFEST]


@pytest.mark.parametrize('name', ['b-00000.tar', INDEX, MANIFEST])
def test_a_folder_with_shards_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(SerError, match='already holds shards .*choose another folder, or delete it'), staging(tmp_path):
        pass
    assert listing(tmp_path) == [name]


def test_the_look_ahead_refuses_what_staging_would(tmp_path):
    check_out(tmp_path / 'none')
    check_out(tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match='is a file'):
        check_out(tmp_path / 'file')
    (tmp_path / MANIFEST).touch()
    with pytest.raises(SerError, match='already holds shards'):
        check_out(tmp_path)
    (tmp_path / PARTIAL).mkdir()
    check_out(tmp_path)


def test_a_file_in_place_of_the_folder_and_a_second_build_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, '_ORPHAN_SECONDS', 0.05)
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match='is a file'), staging(tmp_path / 'file'):
        pass
    with (staging(tmp_path / 'out') as folder, pytest.raises(SerError, match='another build is writing')):
        stage(folder)
        with staging(tmp_path / 'out'):
            pass
    assert MANIFEST in listing(tmp_path / 'out')
