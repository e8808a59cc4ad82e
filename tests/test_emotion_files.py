"""Timelines of several recordings: where they are written, bad ones among them; and the command itself."""

import csv
import io
import json
import types

import pytest

from ser.errors import SerError
from ser.inference.emotion_files import plan_of, timelines
from ser.inference.emotion_options import Request
from ser.predict import main
from tests.listener import RATE, Listener, noise
from tests.shard_factory import audio_bytes, write_tar
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture
def files(tmp_path):
    for name, rms in (('a.wav', 1000), ('b.flac', 4000)):
        (tmp_path / name).write_bytes(audio_bytes(noise(4, rms), RATE, name.partition('.')[2]))
    (tmp_path / 'text.wav').write_text('not audio')
    return tmp_path


def run(folder, names, shape='json', **options):
    """(lines, errors) of a request."""
    errors = []
    plan = plan_of(Request(tuple(name if name == '-' else str(folder / name) for name in names), shape, **options))
    return list(timelines(Listener(), plan, errors)), errors


def test_json_lines_of_several_with_a_bad_one_among_them(files):
    lines, errors = run(files, ('a.wav', 'text.wav', 'gone.wav', 'b.flac'))
    found = [json.loads(line) for line in lines]
    assert [line['file'] for line in found] == [str(files / name) for name in ('a.wav', 'text.wav', 'gone.wav',
                                                                               'b.flac')]
    assert [line['segments'][0]['emotion'] for line in (found[0], found[3])] == ['low', 'middle']
    assert [line['error'] for line in found[1:3]] == [why for _, why in errors]
    assert errors[0][0] == str(files / 'text.wav') and errors[1][1] == 'no such file'


def test_csv_of_several_has_one_header_and_tables_have_headings(files):
    lines, _ = run(files, ('a.wav', 'b.flac'), 'csv')
    assert [row['emotion'] for row in csv.DictReader(lines)] == ['low', 'middle']
    lines, _ = run(files, ('a.wav', 'b.flac'), 'csv', windows=True)
    assert len(list(csv.DictReader(lines))) == 4
    lines, _ = run(files, ('a.wav', 'b.flac'), 'table')
    assert lines[0] == str(files / 'a.wav') and lines[4:6] == ['', str(files / 'b.flac')]
    assert run(files, ('a.wav',), 'table')[0][0].split()[0] == 'start'


def test_one_file_each_in_a_folder(files, monkeypatch):
    monkeypatch.setattr('ser.inference.emotion_picture.draw_timeline', lambda timeline: timeline.file.encode())
    (files / 'more').mkdir()
    (files / 'more' / 'A.flac').write_bytes((files / 'b.flac').read_bytes())
    lines, errors = run(files, ('a.wav', 'more/A.flac', 'text.wav'), 'vtt', out=str(files / 'new' / 'texts'),
                        picture=str(files / 'pictures'))
    assert lines == [] and len(errors) == 1
    assert sorted(path.name for path in (files / 'new' / 'texts').iterdir()) == ['A-2.vtt', 'a.vtt']
    assert (files / 'new' / 'texts' / 'A-2.vtt').read_text().startswith('WEBVTT\n\n00:00:00.000 --> 00:00:04.000\nmid')
    assert [(files / 'pictures' / name).read_text() for name in ('a.png', 'A-2.png')] == ['a.wav', 'A.flac']


def test_json_lines_and_csv_of_several_go_into_one_file(files, monkeypatch):
    for shape, options in (('jsonl', {}), ('csv', {}), ('csv', {'windows': True})):
        names, out = ('a.wav', 'text.wav', 'b.flac'), files / f'all.{shape}'
        plan = plan_of(Request(tuple(str(files / name) for name in names), shape, out=str(out), **options))
        assert plan.together == out and not any(plan.texts)
        assert list(timelines(Listener(), plan, [])) == run(files, names, shape, **options)[0]
    (files / 'dir.jsonl').mkdir()
    assert run(files, ('a.wav', 'b.flac'), 'jsonl', out=str(files / 'dir.jsonl')) == ([], [])
    assert json.loads((files / 'dir.jsonl' / 'a.jsonl').read_text())['seconds'] == 4


def test_one_recording_goes_to_the_file_that_is_named_or_into_a_folder(files):
    assert run(files, ('a.wav',), 'audacity', out=str(files / 'labels')) == ([], [])
    assert (files / 'labels').read_text() == '0.000000\t4.000000\tlow\n'
    run(files, ('a.wav',), 'csv', out=f'{files}/new/')
    assert (files / 'new' / 'a.csv').read_text().startswith('file,start,end')
    run(files, ('a.wav',), out=str(files / 'new'))
    assert json.loads((files / 'new' / 'a.json').read_text())['seconds'] == 4


def test_standard_input_comes_last_and_is_read_as_a_stream(files, monkeypatch):
    pipe = io.BytesIO((files / 'b.flac').read_bytes())
    pipe.seekable = lambda: False
    monkeypatch.setattr('sys.stdin', types.SimpleNamespace(buffer=pipe, isatty=lambda: False))
    lines, errors = run(files, ('-', 'a.wav'))
    assert [json.loads(line)['file'] for line in lines] == [str(files / 'a.wav'), '-'] and not errors
    assert json.loads(lines[1])['segments'][0]['emotion'] == 'middle'
    pipe.seek(0)
    lines, errors = run(files, ('gone.wav', '-'))
    assert json.loads(lines[0])['error'] == 'no such file' == errors[0][1] and json.loads(lines[1])['segments']
    monkeypatch.setattr('sys.stdin', types.SimpleNamespace(isatty=lambda: True))
    with pytest.raises(SerError, match='nothing is piped into standard input'):
        run(files, ('-',))


def test_nobody_is_waited_for_at_a_terminal(files, monkeypatch):
    monkeypatch.setattr('sys.stdin', types.SimpleNamespace(isatty=lambda: True))
    lines, errors = run(files, ('a.wav', '-'))
    assert json.loads(lines[1]) == {'file': '-', 'error': 'nothing is piped into standard input'} and len(errors) == 1


def test_a_shard_is_not_written_over(files):
    shard = str(write_tar(files / 'x.tar', [('k.flac', (files / 'b.flac').read_bytes())]))
    with pytest.raises(SerError, match='is one of the recordings'):
        run(files, ('x.tar',), out=shard)
    assert json.loads(run(files, ('x.tar',))[0][0])['file'] == f'{shard}/k'


@pytest.mark.parametrize(('names', 'options', 'said'), [
    (('a.wav', 'b.flac'), {'shape': 'vtt'}, '--format vtt describes one recording, and 2 were given. Add --out FOLDER'),
    (('a.wav', 'b.flac'), {'out': 'text.wav'}, 'text.wav: 2 recordings are given; a folder is wanted'),
    (('a.wav', 'b.flac'), {'picture': 'text.wav'}, '2 recordings are given; a folder is wanted'),
    (('a.wav', 'b.flac'), {'shape': 'vtt', 'out': 'both.vtt'}, 'both.vtt: 2 recordings are given; a folder is wanted'),
    (('a.wav',), {'picture': 'x.jpg'}, 'x.jpg: a name that ends in .png is wanted'),
    (('a.wav',), {'out': 'a.wav'}, 'a.wav: is one of the recordings'),
    (('a.wav',), {'out': 'x.png', 'picture': 'x.png'}, 'are both'),
    (('a.wav',), {'out': 'text.wav/x.json'}, 'text.wav/x.json: nothing can be written in '),
    (('a.wav',), {'picture': 'text.wav/more/x.png'}, 'text.wav. Choose another place'),
    (('a.wav', 'b.flac'), {'out': 'text.wav/x'}, 'x/a.json: nothing can be written in '),
    (('a.wav', 'b.flac'), {'shape': 'jsonl', 'out': 'b.flac/x.jsonl'}, 'x.jsonl: nothing can be written in '),
    (('gone.wav',), {}, 'gone.wav: no such file')])
def test_refusals_before_anything_is_computed(files, names, options, said):
    options = {name: value if name == 'shape' else str(files / value) for name, value in options.items()}
    with pytest.raises(SerError) as caught:
        run(files, names, **options)
    assert said in str(caught.value) and '\n' not in str(caught.value)


def test_progress_names_the_file_and_ends_with_none(files):
    told, plan = [], plan_of(Request((str(files / 'a.wav'), str(files / 'text.wav')), 'json'))
    list(timelines(Listener(), plan, [], lambda file, seconds: told.append((file, seconds))))
    assert told == [(str(files / 'a.wav'), 4.0), (str(files / 'a.wav'), None), (str(files / 'text.wav'), None)]


def test_the_command(tiny_run, files, capsys):  # noqa: F811
    given = [str(files / 'a.wav'), str(files / 'text.wav'), '--timeline', '--model', str(tiny_run.path)]
    assert main([*given, '--raw']) == 1
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    assert good['classes'] == ['neutral', 'happy', 'sad', 'angry'] and good['window_seconds'] == 0.5
    assert not good['calibrated'] and good['segments'][-1]['end'] == 4 and bad['error'].startswith('cannot be decoded')
    assert f'{files / "text.wav"}: cannot be decoded' in err
    assert err.splitlines()[-1].startswith('1 of 2 files could not be used')
    assert main([str(files / 'a.wav'), *given[2:], '--format', 'table', '--threshold', '1']) == 0
    out, err = capsys.readouterr()
    assert 'unknown' in out and "note: " in err
    assert main([*given, '--out', str(files / 'new' / 'all.jsonl')]) == 1
    out, err = capsys.readouterr()
    assert out == '' and [json.loads(line)['file'] for line in (files / 'new' / 'all.jsonl').read_text().splitlines()
                          ] == given[:2]
    assert main([str(files / 'a.wav'), *given[2:], '--window', '3']) == 2
    assert capsys.readouterr().err == (
        "error: window is 3 s. Allowed are 0.1 s to 0.5 s, the run's data.max_seconds; the nearest is 0.5\n")
