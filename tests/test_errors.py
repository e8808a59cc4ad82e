from ser.errors import did_you_mean, nearest


def test_nearest_finds_a_close_word_and_nothing_for_a_far_one():
    assert nearest('hop_lenght', ['hop_length', 'n_fft']) == 'hop_length'
    assert nearest('zzz', ['hop_length', 'n_fft']) is None


def test_did_you_mean_is_a_sentence_or_empty():
    assert did_you_mean('adanw', ['adam', 'adamw']) == " Did you mean 'adamw'?"
    assert did_you_mean('zzz', ['adam']) == ''
