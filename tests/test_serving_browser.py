"""The served page as people use it, in a headless Chromium: against a stand-in server, and against the real one."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile

from tests.chromium import chromium
from tests.page_server import CSP, standing
from tests.shard_factory import audio_bytes, tone
from tests.tiny_run import tiny_run  # noqa: F401

RATE = 16000
MICROPHONE_HZ = 500
HOSTILE = '<img src=x onerror="window.pwned = 1">'
# What Chromium itself writes of an answer that is no success; the page has told the person in words.
EXPECTED = 'Failed to load resource'
SIZE = {'width': 1280, 'height': 800}
PATIENCE_MS = 60000
TOKEN = 'open-sesame'


def speech(seconds=2.0, gap=None):
    """Bytes of a WAV file; gap: (start, end) in seconds that are silent."""
    samples = tone(3, seconds, RATE)
    if gap:
        samples[int(gap[0] * RATE):int(gap[1] * RATE)] = 0
    return audio_bytes(samples, RATE, 'wav')


def upload(name='clip.wav', data=None):
    """A file as playwright takes it."""
    return {'name': name, 'mimeType': 'audio/wav', 'buffer': speech() if data is None else data}


def plain(text):
    """Text with its no-break spaces made ordinary."""
    return ' '.join(text.replace('\u00a0', ' ').split())


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    sound = tmp_path_factory.mktemp('microphone') / 'sound.wav'
    wave = 0.4 * np.sin(2 * np.pi * MICROPHONE_HZ * np.arange(2 * RATE) / RATE)
    soundfile.write(sound, wave, RATE)
    with chromium('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
                  f'--use-file-for-fake-audio-capture={sound}') as started:
        yield started


@pytest.fixture
def server():
    with standing() as (stand, address):
        stand.address = address
        yield stand


class Window:
    """A window and what went wrong in it that no test looked for."""

    def __init__(self, browser):
        self.wrong, self.page = [], browser.new_context(viewport=SIZE).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on('pageerror', lambda error: self.wrong.append(str(error)))
        self.page.on('console', self._said)

    def _said(self, message):
        if message.type in ('error', 'warning') and EXPECTED not in message.text:
            self.wrong.append(message.text)


@pytest.fixture(scope='module')
def window(browser):
    """The window of all tests: a new one takes long to open."""
    return Window(browser)


@pytest.fixture
def visit(window):
    """Open an address and wait for its model, in the one window; what went wrong in it fails the test."""
    def go(address, ready='#model-system:visible'):
        window.page.goto(address)
        window.page.wait_for_selector(ready)
        return window.page

    yield go
    window.page.unroute_all()
    window.page.set_viewport_size(SIZE)
    window.page.emulate_media(color_scheme='light', reduced_motion='no-preference')
    wrong = list(window.wrong)
    window.wrong.clear()
    assert wrong == []


@pytest.fixture
def page(visit, server):
    return visit(server.address)


def send(page, *files):
    """Choose files and wait until the first is answered."""
    page.set_input_files('#files', [file or upload() for file in files or [None]])
    page.wait_for_selector('.answer')


def test_the_header_says_which_model_answers_and_how_good_it_is(visit, server):
    server.notes = ['trained on synthetic speech: what it says of real voices means nothing']
    page = visit(server.address)
    assert page.text_content('#model-name') == 'crnn-tiny-ravdess'
    assert page.text_content('#model-system') == 'crnn, 16 kHz'
    assert plain(page.text_content('#model-calibrated')) == 'Calibrated, names a class from 35 %'
    assert page.text_content('#model-score') == server.score
    assert page.locator('#model-classes li').all_text_contents() == server.classes
    assert page.locator('#model-notes li').all_text_contents() == server.notes
    assert plain(page.text_content('#limits')) == 'WAV, FLAC, OGG or MP3, each up to 8 MiB and 10 min.'
    assert 'stays on this machine' in page.text_content('#privacy-where')
    assert 'do not use it to judge individuals' in plain(page.text_content('footer'))


def test_an_uploaded_file_is_answered(page, server):
    send(page)
    (path, name, data), = server.uploads
    assert (path, name, data) == ('/predict', 'clip.wav', speech())
    assert page.text_content('.answer-emotion') == 'angry'
    assert plain(page.text_content('.answer-confidence')) == '62 %'
    assert page.text_content('.answer-words').startswith('Calibrated: on the validation recordings')
    names = page.locator('.bars tbody th').all_text_contents()
    shares = [float(plain(text).split()[0]) for text in page.locator('.bars tbody .number').all_text_contents()]
    assert names[0] == 'angry' and sorted(names) == sorted(server.classes)
    assert shares == sorted(shares, reverse=True) and shares[0] == 62 and sum(shares) == pytest.approx(100, abs=2)
    widths = page.locator('.bars .bar').evaluate_all('bars => bars.map(bar => bar.getBoundingClientRect().width)')
    ground = page.locator('.bars .bar-ground').first.bounding_box()['width']
    assert widths[0] == pytest.approx(0.62 * ground, abs=1)
    assert plain(page.text_content('#status')) == 'clip.wav: angry, 62 %'
    page.wait_for_function('() => document.querySelector("audio").duration > 1.9')
    # Two seconds hold one emotion: their timeline waits for a click.
    assert page.locator('.track').count() == 0 and page.is_visible('text=Show emotion over time')


@pytest.mark.slow
def test_below_the_threshold_it_is_unknown_and_the_page_says_why(page, server):
    server.confidence = 0.3
    send(page)
    assert page.text_content('.answer-emotion') == 'unknown' and page.text_content('.answer-confidence') == ''
    words = plain(page.text_content('.answer-words'))
    assert words.startswith('No class is named: the likeliest, angry, has 30 %, and this model names one from 35 % on.')
    assert page.locator('.bars .bar-line').count() == len(server.classes)


@pytest.mark.slow
def test_a_recording_shorter_than_a_syllable_has_a_remark(page):
    send(page, upload('click.wav', speech(0.05)))
    assert plain(page.text_content('.answer-words')).startswith(
        'This recording is shorter than any syllable: what is said of it says little. Calibrated: on the validation')


@pytest.mark.slow
def test_a_model_that_is_not_calibrated_and_not_tested(visit, server):
    server.calibrated, server.threshold, server.score = False, None, None
    page = visit(server.address)
    send(page)
    assert page.text_content('#model-calibrated') == 'Not calibrated'
    assert page.text_content('#model-score') == 'This run holds no test score.'
    assert page.text_content('.answer-words').startswith('Not calibrated: ')
    assert page.locator('.bars .bar-line').count() == 0


def test_text_renamed_to_wav_is_refused_in_words_and_the_files_after_it_go_on(page, server):
    page.set_input_files('#files', [upload('letter.wav', b'Dear all,\n'), upload('good.wav'), upload('empty.wav', b'')])
    failure = page.wait_for_selector('#panel [role=alert]')
    assert failure.inner_text().split('\n')[-1] == ('letter.wav is not audio: it is text. WAV, FLAC, OGG and MP3 files '
                                                    'can be read.')
    assert page.locator('#panel >> text=Try again').count() == 0
    page.wait_for_selector('.item.failed >> text=Empty file')
    states = [plain(text) for text in page.locator('.item-state').all_text_contents()]
    assert states == ['Not a recording that can be read', 'angry, 62 %', 'Empty file']
    page.click('text=good.wav')
    assert page.text_content('.answer-emotion') == 'angry'
    page.click('[aria-label="Remove good.wav"]')
    assert page.text_content('#panel .failure-title') == 'Empty file'
    # Who removed a file with the keyboard stays in the list.
    assert page.evaluate('document.activeElement.getAttribute("aria-label")') == 'Remove empty.wav'
    page.click('text=Clear')
    assert page.is_hidden('#session') and page.is_visible('#empty')
    assert [name for _, name, _ in server.uploads] == ['letter.wav', 'good.wav']


def test_a_busy_server_is_asked_again_by_itself(page, server):
    server.refusals = [(429, 'the server has its hands full. Try again in 1 s', {'Retry-After': '1'})]
    page.set_input_files('#files', [upload()])
    page.wait_for_selector('#panel >> text=The server is busy; trying again in 1 s')
    page.wait_for_selector('.answer')


@pytest.mark.slow
def test_a_server_that_stays_busy_is_a_failure_that_can_be_tried_again(page, server):
    server.refusals = [(429, 'the server has its hands full. Try again in 90 s', {'Retry-After': '90'})]
    page.set_input_files('#files', [upload()])
    failure = plain(page.wait_for_selector('#panel [role=alert]').inner_text())
    assert failure == 'The server is busy the server has its hands full. Try again in 90 s. Try again'
    page.click('#panel >> text=Try again >> nth=-1')
    page.wait_for_selector('.answer')


@pytest.mark.slow
def test_refusals_are_told_in_words(page, server):
    cases = [
        (413, 'clip.wav is longer than 600 s', 'Too large or too long', 'clip.wav is longer than 600 s.'),
        (422, '', 'The request cannot be answered', 'Reload the page: it may be older than the server.'),
        (429, '', 'The server is busy', 'It answers others first. Try again in 1 min.'),
        (500, 'the server has made a mistake', 'The server could not answer (500)', 'the server has made a mistake.'),
        (504, 'this took longer than 60 s', 'It took too long', 'this took longer than 60 s.')]
    server.refusals = [(status, sentence, {'Retry-After': '60'}) for status, sentence, _, _ in cases]
    page.set_input_files('#files', [upload(f'{status}.wav') for status, _, _, _ in cases])
    page.wait_for_function('() => document.querySelectorAll(".item.failed").length === 5')
    for status, _, title, words in cases:
        page.click(f'text={status}.wav')
        assert page.text_content('#panel .failure-title') == title
        assert plain(page.text_content('#panel .failure p:nth-child(2)')) == words
        assert page.locator('#panel >> text=/^Try again$/').count() == (status != 413)


@pytest.mark.slow
def test_a_file_over_the_limit_is_not_sent(visit, server):
    server.limits = {'max_bytes': 20000, 'max_seconds': 10}
    page = visit(server.address)
    page.set_input_files('#files', [upload()])
    page.wait_for_selector('#panel [role=alert]')
    assert plain(page.text_content('#panel .failure p:nth-child(2)')) == (
        'The file has 63 KiB; this server takes up to 20 KiB. Save it as FLAC or MP3.')
    assert server.uploads == []


@pytest.mark.slow
def test_a_server_that_is_gone_or_speaks_something_else(page):
    page.route('**/predict', lambda route: route.abort())
    page.set_input_files('#files', [upload()])
    page.wait_for_selector('#panel >> text=No answer from the server')
    page.unroute('**/predict')
    page.route('**/predict', lambda route: route.fulfill(status=200, body='<html>'))
    page.click('#panel >> text=Try again')
    page.wait_for_selector('#panel >> text=An answer that makes no sense')
    page.unroute('**/predict')
    page.click('#panel >> text=Try again')
    page.wait_for_selector('.answer')


def test_the_token_is_asked_for_kept_in_the_tab_and_sent(visit, server):
    server.token = TOKEN
    page = visit(server.address, ready='#token-dialog[open]')
    page.fill('#token-field', 'wrong')
    page.keyboard.press('Enter')
    page.wait_for_selector('text=The server did not accept that token')
    page.click('#token-cancel')
    page.wait_for_selector('#input-failure >> text=A token is needed')
    page.click('#input-failure >> text=Try again')
    page.fill('#token-field', server.token)
    page.click('text=Use token')
    page.wait_for_selector('#model-system:visible')
    assert page.evaluate('[sessionStorage.length, localStorage.length]') == [1, 0]
    send(page)
    # A token that is withdrawn is asked for anew, by whatever comes next.
    server.token = 'another one'
    page.click('text=Show emotion over time')
    page.fill('#token-field', server.token)
    page.keyboard.press('Enter')
    page.wait_for_selector('.track')
    page.reload()
    page.wait_for_selector('#model-system:visible')
    assert not page.is_visible('#token-dialog')


def test_a_recording_from_the_microphone_is_a_wav_file_of_what_was_heard(page, server):
    page.click('#record')
    page.wait_for_selector('#recorder:visible')
    assert page.evaluate('document.activeElement.id') == 'recorder-stop'
    page.wait_for_function('() => document.getElementById("recorder-time").textContent >= "0:01"')
    assert -20 < float(page.get_attribute('#recorder-level', 'aria-valuenow')) <= 0
    page.keyboard.press('Enter')
    page.wait_for_selector('.answer')
    assert page.is_hidden('#recorder') and page.text_content('.answer-file') == 'recording-1.wav'
    (_, name, data), = server.uploads
    samples, rate = soundfile.read(io.BytesIO(data), dtype='int16')
    assert name == 'recording-1.wav' and samples.ndim == 1 and soundfile.info(io.BytesIO(data)).subtype == 'PCM_16'
    assert 1 <= len(samples) / rate < 20
    heard = samples[rate // 2:rate].astype(float)
    loudest = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))).argmax() * rate / len(heard)
    assert loudest == pytest.approx(MICROPHONE_HZ, abs=5) and np.abs(heard).max() > 5000


@pytest.mark.slow
def test_a_recording_can_be_cancelled_and_stops_at_the_limit(visit, server):
    page = visit(server.address)
    page.click('#record')
    page.click('#recorder-cancel')
    page.wait_for_selector('#recorder', state='hidden')
    assert server.uploads == [] and page.is_hidden('#session')
    server.limits = {'max_bytes': 8 << 20, 'max_seconds': 0.5}
    page.reload()
    page.wait_for_selector('#model-system:visible')
    page.click('#record')
    page.wait_for_selector('.answer')
    facts = soundfile.info(io.BytesIO(server.uploads[0][2]))
    assert facts.frames == facts.samplerate // 2


@pytest.mark.slow
def test_a_microphone_that_cannot_be_had(page):
    page.evaluate('() => { navigator.mediaDevices.getUserMedia = async () => { '
                  'throw new DOMException("", window.refusal); }; }')
    for name, title in [('NotAllowedError', 'The microphone is not allowed'), ('NotFoundError', 'No microphone found'),
                        ('NotReadableError', 'The microphone is in use'),
                        ('AbortError', 'The microphone cannot be used')]:
        page.evaluate('name => { window.refusal = name; }', name)
        page.click('#record')
        page.wait_for_selector(f'#input-failure >> text={title}')
        assert page.is_enabled('#record') and page.is_hidden('#recorder')
    # What browsers do on plain HTTP from another machine.
    page.evaluate('() => Object.defineProperty(navigator, "mediaDevices", { value: undefined })')
    page.click('#record')
    page.wait_for_selector('#input-failure >> text=Recording is not possible here')


LOADED = '() => [...document.querySelectorAll(".figures img")].every(image => image.naturalWidth > 0)'


def colours_of(page, selector):
    """How many colours a canvas shows."""
    return page.eval_on_selector(selector, '''canvas => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size; }''')


def test_a_long_recording_shows_its_timeline_and_one_can_seek_in_it(page):
    send(page, upload('talk.wav', speech(14, gap=(5, 10))))
    track = page.wait_for_selector('.track')
    rows = page.locator('.lane-name').all_text_contents()
    assert rows[:2] == ['neutral', 'calm'] and rows[-1] == 'silence'
    assert colours_of(page, '.track-canvas') > 10
    track.scroll_into_view_if_needed()
    box = track.bounding_box()
    # Every row of the chart lies beside its name.
    last = page.locator('.lane-names li').last.bounding_box()
    assert last['y'] + last['height'] == pytest.approx(box['y'] + box['height'] - 24, abs=1)
    page.wait_for_function('() => document.querySelector("audio").readyState >= 1')
    page.mouse.click(box['x'] + box['width'] / 2, box['y'] + 60)
    assert page.evaluate('document.querySelector("audio").currentTime') == pytest.approx(7, abs=0.1)
    assert page.text_content('.track-readout') == '0:07.0 of 0:14.0: silence' and page.is_hidden('.zoom')
    track.focus()
    for key, at in [('ArrowRight', 8), ('PageDown', 0), ('End', 14), ('ArrowLeft', 13), ('Home', 0)]:
        page.keyboard.press(key)
        assert page.evaluate('document.querySelector("audio").currentTime') == pytest.approx(at, abs=0.1)
    assert track.get_attribute('aria-valuenow') == '0.0'
    assert plain(track.get_attribute('aria-valuetext')) == '0:00.0 of 0:14.0: neutral, 50 %'
    page.click('text=Segments as a table')
    assert [plain(text) for text in page.locator('.segments tbody tr').first.locator('td, th').all_text_contents()] == [
        '0:00.0', '0:05.0', 'neutral', '50 %', 'Play']
    page.click('.segments tbody tr:nth-child(2) button')
    page.wait_for_function('() => document.querySelector("audio").currentTime > 5.05')


@pytest.mark.slow
def test_the_timeline_follows_the_width_of_the_window_and_the_scheme(page):
    send(page, upload('talk.wav', speech(7)))
    page.wait_for_selector('.track')
    wide, shown = (page.eval_on_selector('.track-canvas', 'canvas => [canvas.width, canvas.toDataURL()]'))
    page.set_viewport_size({'width': 700, 'height': 800})
    page.wait_for_function(f'() => document.querySelector(".track-canvas").width < {wide}')
    page.set_viewport_size({'width': 1280, 'height': 800})
    page.wait_for_function(f'() => document.querySelector(".track-canvas").width == {wide}')
    page.emulate_media(color_scheme='dark')
    page.wait_for_function('before => document.querySelector(".track-canvas").toDataURL() !== before', arg=shown)


def test_what_the_model_looked_at(page, server):
    send(page, upload('talk.wav', speech(5)))
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.figures img')
    page.wait_for_function(LOADED)
    assert page.locator('.view img:not(.saliency)').evaluate_all('all => all.map(image => image.alt)') == [
        'Constant-Q transform as the network saw it', 'Mel spectrogram as the network saw it']
    assert page.locator('.saliency:visible').count() == 2
    page.uncheck('text=Show saliency on the views')
    assert page.locator('.saliency:visible').count() == 0
    assert colours_of(page, '.explain-wave') > 2
    assert 'Most weight: at 0:0' in page.get_attribute('.explain-wave', 'aria-label')
    assert page.text_content('.explain-stretch') == 'Shown: 0:00.0 to 0:03.0 of the recording.'
    page.click('text=Look where the player stands')
    page.wait_for_selector('.explain-toggle:checked')
    assert [path for path, _, _ in server.uploads] == ['/predict', '/explain', '/explain']


def test_what_is_shown_no_more_is_drawn_no_more(page):
    send(page, upload('talk.wav', speech(7)))
    page.wait_for_selector('.track')
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.figures img')
    page.evaluate("""() => {
        window.draws = [];
        const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (...all) {
            window.draws.push(this.className);
            return get.apply(this, all); }; }""")
    page.click('text=Look where the player stands')
    page.wait_for_function('() => window.draws.includes("explain-wave")')
    still = 'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))'
    page.evaluate(f'{still}.then(() => {{ window.draws = []; }})')
    page.emulate_media(color_scheme='dark')
    page.wait_for_function('() => window.draws.length >= 2')
    # Each picture once: the stretch that was shown before is gone.
    assert sorted(page.evaluate(f'{still}.then(() => window.draws)')) == ['explain-wave', 'track-canvas']
    page.click('.item-remove')
    page.evaluate('() => { window.draws = []; }')
    page.emulate_media(color_scheme='light')
    assert page.evaluate(f'{still}.then(() => window.draws)') == []


def test_a_part_is_played_to_its_end_whatever_was_played_before(page):
    send(page, upload('talk.wav', speech(14, gap=(5, 10))))
    page.wait_for_selector('.track')
    page.click('text=Segments as a table')
    page.wait_for_function('() => document.querySelector("audio").readyState >= 1')
    page.click('.segments tbody tr:nth-child(1) button')
    page.wait_for_function('() => document.querySelector("audio").currentTime > 0.05')
    page.click('.segments tbody tr:nth-child(3) button')
    # The first part ends at 5 s, which is no reason to stop this one at 6.
    page.wait_for_function('() => document.querySelector("audio").currentTime > 6.4')
    assert not page.evaluate('document.querySelector("audio").paused')


@pytest.mark.slow
def test_the_chart_of_a_long_recording_can_be_stretched(page):
    send(page, upload('talk.wav', speech(61)))
    track, view = page.wait_for_selector('.track'), page.locator('.track-view')
    narrow = track.bounding_box()['width']
    page.click('text=Zoom in')
    page.click('text=Zoom in')
    assert track.bounding_box()['width'] == pytest.approx(4 * narrow, abs=2)
    # A quarter of a minute is as near as it gets.
    page.locator('text=Zoom in').click(force=True)
    assert track.bounding_box()['width'] == pytest.approx(4 * narrow, abs=2)
    assert page.get_attribute('.zoom-in', 'aria-disabled') == 'true'
    track.focus()
    page.keyboard.press('End')
    # Where one seeks to is to be seen.
    assert view.evaluate('view => view.scrollLeft') > 2 * narrow
    assert page.evaluate('document.documentElement.scrollWidth') <= SIZE['width']
    page.click('text=Zoom out')
    page.click('text=Zoom out')
    assert track.bounding_box()['width'] == pytest.approx(narrow, abs=2)


@pytest.mark.slow
def test_a_model_without_attention_and_a_failure_of_a_part(page, server):
    server.attention, server.views = False, ('mel', 'waveform')
    send(page)
    server.refusals = [(504, 'this took longer than 60 s', {})]
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.part-explain [role=alert] >> text=It took too long')
    page.click('.part-explain >> text=Try again')
    page.wait_for_selector('.figures img')
    assert page.get_attribute('.explain-wave', 'aria-label') == 'Waveform' and page.is_hidden('.explain-where')
    # A waveform has no low frequencies at its bottom.
    words = ' from start to end of what the network heard'
    assert page.locator('.view + figcaption').all_text_contents() == [
        f'Mel spectrogram{words}, low frequencies at the bottom', f'Waveform{words}']


def test_hostile_names_are_text_and_nothing_else(visit, server):
    server.classes = [HOSTILE, '__proto__', 'constructor', 'toString']
    server.best, server.score, server.notes = HOSTILE, HOSTILE, [HOSTILE]
    page = visit(server.address)
    send(page, upload(f'{HOSTILE}.wav', speech(7)))
    page.wait_for_selector('.track')
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.figures img')
    assert page.text_content('.answer-emotion') == HOSTILE == page.text_content('#model-score')
    assert page.text_content('.answer-file') == f'{HOSTILE}.wav'
    assert page.locator('.bars tbody tr').count() == 4 and page.locator('.lane-name').count() >= 4
    server.refusals = [(400, f'{HOSTILE} is not audio', {})]
    page.set_input_files('#files', [upload('bad.wav')])
    page.wait_for_selector('#panel [role=alert]')
    assert HOSTILE in page.text_content('#panel .failure p:nth-child(2)')
    assert page.evaluate('window.pwned') is None and page.locator('img[src=x]').count() == 0


def downloaded(page, selector):
    """(name, text) of what a click downloads."""
    with page.expect_download() as waiting:
        page.click(selector)
    with open(waiting.value.path(), newline='') as file:
        return waiting.value.suggested_filename, file.read()


def test_silence_is_shown_and_saved_without_numbers_and_explained_no_further(page, server):
    server.silent, server.classes = True, ['silence', 'error']
    send(page, upload('quiet.wav', speech(7)))
    page.wait_for_selector('.answer-words')
    assert page.text_content('.answer-emotion') == 'silence' and page.text_content('.answer-confidence') == ''
    assert page.text_content('.answer-words').startswith('Nothing is to be heard in this recording')
    assert page.text_content('.item-state') == 'silence' and page.is_hidden('.bars')
    assert page.locator('section.part:visible').count() == 0 and [path for path, _, _ in server.uploads] == ['/predict']
    server.silent, server.best = False, 'silence'
    send(page, upload('spoken.wav', speech(2)))
    page.wait_for_selector('.answer-confidence:has-text("62")')
    row, spoken = csv.DictReader(io.StringIO(downloaded(page, 'text=All as CSV')[1]))
    assert (row['emotion'], row['silent'], row['error'], row['p(silence)']) == ('silence', 'true', '', '')
    assert (spoken['emotion'], spoken['silent'], float(spoken['p(silence)'])) == ('silence', 'false', 0.62)


@pytest.mark.slow
def test_results_are_saved_as_json_and_csv(page, server):
    server.classes = ['a "quoted", one', 'angry']
    send(page, upload('=1+1.wav', speech(7)), upload('letter.wav', b'Dear all,\n'))
    page.wait_for_selector('.track')
    page.wait_for_selector('.item.failed')
    name, text = downloaded(page, 'text=All as CSV')
    rows = list(csv.DictReader(io.StringIO(text)))
    assert name == 'emotions.csv' and len(rows) == 2
    # Spreadsheets run what starts with =.
    assert rows[0]['file'] == "'=1+1.wav" and rows[0]['emotion'] == 'angry' and float(rows[0]['angry']) == 0.62
    assert float(rows[0]['a "quoted", one']) == pytest.approx(0.38) and rows[0]['error'] == ''
    assert rows[1]['emotion'] == '' and 'it is text' in rows[1]['error']
    name, text = downloaded(page, 'text=All as JSON')
    saved = json.loads(text)
    assert saved['model']['name'] == 'crnn-tiny-ravdess' and 'it is text' in saved['results'][1]['error']
    assert saved['results'][0]['probabilities']['angry'] == 0.62 and saved['results'][0]['timeline']['windows']
    assert downloaded(page, '.save-csv')[0] == '_1_1.csv'
    page.click('text=Segments as a table')
    name, text = downloaded(page, '.save-segments')
    segments = list(csv.DictReader(io.StringIO(text)))
    assert name == '_1_1-segments.csv'
    assert [row['emotion'] for row in segments] == [
        each['emotion'] for each in saved['results'][0]['timeline']['segments']]


@pytest.mark.slow
def test_a_dropped_file_is_taken_anywhere_on_the_page(page):
    page.evaluate('''() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(10)], 'dropped.wav'));
        document.body.dispatchEvent(new DragEvent('dragover', { dataTransfer: transfer, bubbles: true }));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true })); }''')
    page.wait_for_selector('text=dropped.wav')


@pytest.mark.slow
def test_keys_alone_are_enough(page):
    names = []
    for _ in range(4):
        page.keyboard.press('Tab')
        names.append(page.evaluate('document.activeElement.id || document.activeElement.textContent'))
        outline = 'el => getComputedStyle(el.id === "files" ? el.labels[0] : el).outlineStyle'
        assert page.evaluate(f'({outline})(document.activeElement)') != 'none', names[-1]
    assert names == ['Skip to the recordings', 'files', 'record', 'HTTP API (OpenAPI)']
    send(page)
    page.focus('.item-open')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    assert page.is_visible('#empty')


# Accessible names, sizes of targets, headings, contrast: what can be computed of the page as it stands.
AUDIT = '''() => {
    const wrong = [];
    const seen = (el) => el.checkVisibility() && el.getBoundingClientRect().width > 1;
    const name = (el) => el.getAttribute('aria-label') || [...(el.labels ?? [])].map((l) => l.textContent).join('')
        || el.textContent || el.alt || '';
    for (const el of document.querySelectorAll('button, input, a, summary, audio, canvas[role], img, [role=slider], '
        + '[role=meter], [role=group]')) if (seen(el) && !name(el).trim()) wrong.push(`no name: ${el.outerHTML}`);
    for (const el of document.querySelectorAll('button, summary, label.button, label.check, audio, .footer a')) {
        const { width, height } = el.getBoundingClientRect();
        if (seen(el) && (width < 43.9 || height < 43.9)) wrong.push(`${width} x ${height}: ${el.outerHTML}`);
    }
    const levels = [...document.querySelectorAll('main :is(h1, h2, h3, h4), header h1')].filter(seen)
        .map((el) => Number(el.tagName[1]));
    levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) wrong.push(`heading level ${levels}`); });
    const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (el) => { const { backgroundColor } = getComputedStyle(el);
        return /, 0\\)$/.test(backgroundColor) && el.parentElement ? ground(el.parentElement) : backgroundColor; };
    for (const el of document.querySelectorAll('body *')) {
        const own = [...el.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !seen(el) || el.disabled) continue;
        const [a, b] = [light(getComputedStyle(el).color), light(ground(el))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) wrong.push(`contrast ${(a + 0.05) / (b + 0.05)}: ${el.outerHTML}`);
    }
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) wrong.push(`scrolls sideways: ${scrollWidth} > ${clientWidth}`);
    return wrong;
}'''


@pytest.mark.parametrize('width, scheme', [
    (360, 'dark'), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1280, 'light'), (320, 'light')])])
def test_the_page_is_accessible_at_every_width_and_in_both_schemes(visit, server, width, scheme):
    server.notes = ['a note']
    page = visit(server.address)
    page.set_viewport_size({'width': width, 'height': 740})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate(AUDIT) == []
    send(page, upload(f'{"long-name-" * 9}.wav', speech(7)), upload('letter.wav', b'Dear all,\n'))
    page.wait_for_selector('.item.failed')
    page.wait_for_selector('.track')
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.figures img')
    page.click('text=Segments as a table')
    assert page.evaluate(AUDIT) == []
    page.click('text=letter.wav')
    assert page.evaluate(AUDIT) == []
    page.click('#record')
    page.wait_for_selector('#recorder:visible')
    assert page.evaluate(AUDIT) == []
    page.click('#recorder-cancel')
    server.token = TOKEN
    page.reload()
    page.wait_for_selector('#token-dialog[open]')
    assert page.evaluate(AUDIT) == []


@pytest.mark.slow
def test_nothing_moves_for_those_who_want_it_still(page, server):
    server.seconds_each = 0.5
    page.emulate_media(reduced_motion='reduce')
    page.set_input_files('#files', [upload()])
    spinner = page.wait_for_selector('.spinner')
    assert spinner.evaluate('el => getComputedStyle(el).animationName') == 'none'
    page.wait_for_selector('.answer')


def test_the_stand_in_allows_what_the_server_allows():
    guard = pytest.importorskip('ser.serving.guard')
    assert guard.HEADERS['content-security-policy'].startswith(CSP)


@pytest.fixture(scope='module')
def real(tiny_run):  # noqa: F811
    """(address, Predictor) of the real server with the tiny run, which asks for TOKEN."""
    for package in ('fastapi', 'uvicorn', 'python_multipart', 'httpx'):
        pytest.importorskip(package)
    from ser.inference.predictor import Predictor
    from tests.served import listening, service

    predictor = Predictor(tiny_run.path, 'cpu')
    with service(tiny_run.path, predictor) as made, listening(made, token=TOKEN) as (host, port):
        yield f'http://{host}:{port}', predictor


def test_the_real_server_answers_what_the_page_asks(visit, real):
    address, predictor = real
    page = visit(address, ready='#token-dialog[open]')
    page.fill('#token-field', TOKEN)
    page.keyboard.press('Enter')
    page.wait_for_selector('#model-system:visible')
    assert page.locator('#model-classes li').all_text_contents() == list(predictor.names)
    assert 'UA' in page.text_content('#model-score')
    # As letter.wav is a text, so is its name: both are shown and nothing of them runs.
    short = tone(3, 0.4, predictor.sample_rate)
    page.set_input_files('#files', [
        upload(f'{HOSTILE}.wav', audio_bytes(short, predictor.sample_rate, 'wav')),
        upload('talk.wav', speech(7, gap=(2, 5))), upload('letter.wav', b'Dear all,')])
    page.wait_for_selector('.answer')
    assert page.text_content('.answer-file') == f'{HOSTILE}.wav'
    values, = predictor.values([short])
    assert page.text_content('.bars tbody th') == predictor.names[int(values.argmax())]
    assert set(page.locator('.bars tbody th').all_text_contents()) == set(predictor.names)
    page.click('text=talk.wav')
    page.wait_for_selector('.track')
    assert page.locator('.lane-name').all_text_contents()[:len(predictor.names)] == list(predictor.names)
    assert colours_of(page, '.track-canvas') > 10
    page.click('text=Show what the model looked at')
    page.wait_for_selector('.figures img')
    page.wait_for_function(LOADED)
    assert page.locator('.saliency').count() == page.locator('.view').count() > 0
    page.click('text=Look where the player stands')
    page.wait_for_selector('.explain-toggle:checked')
    page.click('text=letter.wav')
    failure = page.wait_for_selector('#panel [role=alert]').inner_text()
    assert failure.startswith('Not a recording that can be read') and 'letter.wav is not audio: it is text' in failure
    assert page.evaluate('window.pwned') is None
    assert page.evaluate(AUDIT) == []
