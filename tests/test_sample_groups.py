"""Members to samples by their keys."""

from ser.shards.sample_groups import Found, grouped


def members(*names):
    """Found members named `key.suffix`, one after the other."""
    return [Found(name, *name.split('.', 1), 512 * number, 1, '', 'audio' if name.endswith('flac') else 'label')
            for number, name in enumerate(names)]


def names(groups):
    return [([member.name for member in group.members], group.scattered) for group in groups]


def test_neighbours_of_one_key_are_a_sample():
    groups = grouped(members('a.flac', 'a.json', 'b.json', 'b.flac'))
    assert names(groups) == [(['a.flac', 'a.json'], False), (['b.json', 'b.flac'], False)]
    assert groups[0].suffixes == {'flac', 'json'}
    assert [member.name for member in groups[1].of_kind('audio')] == ['b.flac']


def test_what_lies_apart_and_completes_one_another_is_one_sample():
    assert names(grouped(members('a.flac', 'b.flac', 'a.json', 'b.json'))) == [
        (['a.flac', 'a.json'], True), (['b.flac', 'b.json'], True)]


def test_what_repeats_is_another_sample():
    whole = ['a.flac', 'a.json']
    for order in (['a.flac', 'a.json', 'a.flac', 'a.json'], ['a.flac', 'a.json', 'b.flac', 'a.flac', 'a.json']):
        assert [found for found in names(grouped(members(*order))) if found[0] == whole] == [(whole, False)] * 2
    assert names(grouped(members('a.flac', 'a.flac', 'a.json'))) == [(['a.flac'], False), (whole, False)]
    assert grouped([]) == []
