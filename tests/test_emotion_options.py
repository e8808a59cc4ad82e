"""What `ser predict` over time takes and refuses, in one line, before anything heavy is imported."""

import pytest

from ser.inference.emotion_options import OF_CLIPS, OVER_TIME, SUFFIXES, Request, check_options, request_of
from ser.predict import main, parser


@pytest.mark.parametrize(('given', 'said'), [
    ('', 'the following arguments are required: FILE'),
    ('--timeline', 'the following arguments are required: FILE'),
    ('x.wav --timeline --microphone', '--timeline is of recordings and --microphone is live'),
    ('x.wav --microphone', "--microphone takes no FILE, but 'x.wav' was given"),
    ('x.wav --window 3', '--window goes with --timeline. Add it, or leave --window out'),
    ('x.wav --hop 0', '--hop goes with --timeline'),
    ('x.wav --min-segment 2', '--min-segment goes with --timeline'),
    ('x.wav --windows', '--windows goes with --timeline'),
    ('x.wav --out x.VTT', '--out x.VTT: .vtt goes with --timeline. Let the name end in one of .txt, .jsonl, .csv, or'),
    ('x.wav --out x.json', '--out x.json: .json goes with --timeline. Let the name end in one of .txt, .jsonl, .csv'),
    ('x.wav --out a.b/x.xlsx', '--out a.b/x.xlsx: no format ends in .xlsx. Let the name end in one of .txt, .jsonl, '
                               '.csv, or add --format'),
    ('x.wav --timeline --out x.xlsx', 'no format ends in .xlsx. Let the name end in one of .txt, .jsonl, .csv, .json, '
                                      '.vtt, or add --format'),
    ('x.wav --picture x.png', '--picture goes with --timeline'),
    ('x.wav --timeline --top 3', '--top does not go with --timeline'),
    ('x.wav --timeline --jobs 3', '--jobs does not go with --timeline'),
    ('--microphone --top 3', '--top does not go with --microphone'),
    ('--microphone --format csv', '--format does not go with --microphone'),
    ('--microphone --out x.csv', '--out does not go with --microphone'),
    ('--microphone --picture x.png', '--picture does not go with --microphone'),
    ('--microphone --min-segment 2', '--min-segment does not go with --microphone'),
    ('x.wav --format json', '--format json goes with --timeline. Without it: table, jsonl, csv (the nearest: jsonl)'),
    ('x.wav --format vtt', '--format vtt goes with --timeline. Without it: table, jsonl, csv.'),
    ('x.wav --timeline --windows --format vtt', '--windows goes with --format csv'),
    ('x.wav --timeline --window soon', "argument --window: invalid float value: 'soon'")])
def test_refusals_are_one_line(given, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*given.split(), '--model', 'nowhere'])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == '' and err.count('\n') == 1 and said in err, err


def request(given, terminal=False):
    return request_of(parser().parse_args([*given.split(), '--model', 'x', '--timeline']), terminal)


def test_the_format_is_the_asked_one_or_follows_the_place():
    assert request('a.wav') == Request(('a.wav',), 'json')
    assert request('a.wav', terminal=True).format == 'table'
    assert request('a.wav --out x.vtt', terminal=True).format == 'vtt'
    assert request('a.wav --out x.txt').format == 'table'
    assert request('a.wav --out folder', terminal=True).format == 'json'
    assert request('a.wav --out a.b/folder').format == request('a.wav --out v1.2/').format == 'json'
    assert request('a.wav b.wav --out all.JSONL').format == 'jsonl'
    assert request('a.wav --out x.csv --format audacity').format == 'audacity'
    assert request('a.wav --out x.csv --windows').windows
    for given in ('b.wav --timeline --out v1.2', '--timeline --out x.xlsx --format csv', '--out x.xlsx --format csv'):
        check_options(parser(), parser().parse_args(['a.wav', *given.split(), '--model', 'x']))


def test_every_format_can_be_written():
    from ser.inference import emotion_formats, formats

    assert set(OF_CLIPS) == set(formats.FORMATS) and set(OVER_TIME) == set(emotion_formats.FORMATS) == set(SUFFIXES)


def test_only_what_was_given_is_handed_on():
    assert request('a.wav b.wav --window 2 --silence-db -50 --picture p.png') == Request(
        ('a.wav', 'b.wav'), 'json', picture='p.png', lengths=(('window_seconds', 2.0), ('silence_db', -50.0)))
    assert request('a.wav --hop .5 --min-segment 0').lengths == (('hop_seconds', 0.5), ('min_segment_seconds', 0.0))
