/** Emotion over time: a chart one can seek in with mouse, finger and keys, and the same as a table. */

import { chartHeight, drawChart, rowsOf } from './chart.js';
import { colourOf } from './colours.js';
import { byId, clock, copyOf, duration, make, percent } from './dom.js';
import { part } from './part.js';
import { keepDrawn, peaksOf } from './peaks.js';
import { saveSegments, stem } from './save.js';

// Shorter recordings hold one emotion mostly: their timeline waits for a click.
const LONG_SECONDS = 6;
const PEAKS = 3600;
const LONGEST_UNZOOMED = 45;
// Wider canvases than this stay empty in some browsers.
const MOST_PIXELS = 16000;

/** Fill `section` with the timeline of an Item, at once where it is long. player: the <audio> to seek in. */
export function timelinePart(section, item, player) {
  const asked = { route: 'timeline', label: 'Show emotion over time', waiting: 'Listening from start to end',
    atOnce: item.result.seconds > LONG_SECONDS };
  part(section, item, asked, async (timeline, signal) => {
    item.timeline = timeline;
    const peaks = await peaksOf(item.file, timeline.seconds, PEAKS);
    section.append(copyOf(byId('timeline-template')));
    fillWords(section, timeline, peaks);
    fillTable(section, timeline, player);
    const csvName = `${stem(item.file.name)}-segments.csv`;
    section.querySelector('.save-segments').onclick = () => saveSegments(csvName, timeline);
    const canvas = section.querySelector('canvas');
    canvas.style.height = `${chartHeight(rowsOf(timeline))}px`;
    keepDrawn(canvas, () => drawChart(canvas, timeline, peaks), signal);
    zoomable(section, timeline);
    seekable(section, timeline, player, signal);
  });
}

/** Buttons that stretch the chart of a long recording; what was in the middle stays there. */
function zoomable(section, { seconds }) {
  const [track, view] = [section.querySelector('.track'), section.querySelector('.track-view')];
  const [nearer, farther] = [section.querySelector('.zoom-in'), section.querySelector('.zoom-out')];
  let times = 1;
  const most = () => Math.min(16, seconds / 15, MOST_PIXELS / (view.clientWidth * (window.devicePixelRatio || 1)));
  const zoom = (wanted) => {
    const middle = (view.scrollLeft + view.clientWidth / 2) / track.clientWidth;
    times = Math.max(1, wanted);
    track.style.width = `${100 * times}%`;
    view.scrollLeft = middle * track.clientWidth - view.clientWidth / 2;
    // Not disabled: the focus would be lost.
    nearer.setAttribute('aria-disabled', String(2 * times > most()));
    farther.setAttribute('aria-disabled', String(times === 1));
  };
  nearer.onclick = () => { if (2 * times <= most()) zoom(2 * times); };
  farther.onclick = () => zoom(times / 2);
  section.querySelector('.zoom').hidden = seconds < LONGEST_UNZOOMED;
  zoom(1);
}

function fillWords(section, timeline, peaks) {
  const { window_seconds: window, hop_seconds: hop } = timeline;
  section.querySelector('.timeline-words').textContent = `Windows of ${duration(window)}, one every ${duration(hop)}. `
    + 'The deeper a row\'s colour, the likelier its class; the bar under it marks what is called so. Click or use the '
    + `arrow keys to seek.${peaks ? '' : ' No waveform: this browser cannot read the file, or it is too long.'}`;
  const names = rowsOf(timeline).map((name) => {
    const swatch = make('span', { className: 'swatch', 'aria-hidden': 'true' });
    swatch.style.backgroundColor = colourOf(name, timeline.classes);
    return make('li', {}, swatch, make('span', { className: 'lane-name', textContent: name }));
  });
  section.querySelector('.lane-names').append(...names);
}

function fillTable(section, timeline, player) {
  const rows = timeline.segments.map(({ start, end, emotion, confidence }) => {
    const words = `Play ${emotion}, ${clock(start, 1)} to ${clock(end, 1)}`;
    const play = make('button', { type: 'button', className: 'button slim', textContent: 'Play', 'aria-label': words });
    play.onclick = () => playPart(player, start, end);
    const number = (text) => make('td', { className: 'number', textContent: text });
    return make('tr', {}, number(clock(start, 1)), number(clock(end, 1)),
      make('th', { scope: 'row', textContent: emotion }),
      number(typeof confidence === 'number' ? percent(confidence) : '-'), make('td', {}, play));
  });
  section.querySelector('tbody').append(...rows);
}

function playPart(player, start, end) {
  const stop = () => {
    if (player.currentTime < end && !player.paused) return;
    player.pause();
    player.ontimeupdate = null;
  };
  // The end of the part before is none of this one's.
  player.ontimeupdate = null;
  player.pause();
  player.currentTime = start;
  // A recording that the browser cannot play has said so already.
  player.play().then(() => { player.ontimeupdate = stop; }, () => {});
}

/** The track is a slider; the player and it show one position. */
function seekable(section, timeline, player, signal) {
  const track = section.querySelector('.track');
  const { seconds } = timeline;
  let at = 0;
  const show = (position) => {
    at = Math.min(Math.max(position, 0), seconds);
    section.querySelector('.playhead').style.left = `${(100 * at) / seconds}%`;
    keepInView(section.querySelector('.track-view'), (track.clientWidth * at) / seconds);
    const words = `${clock(at, 1)} of ${clock(seconds, 1)}: ${segmentWords(timeline, at)}`;
    section.querySelector('.track-readout').textContent = words;
    track.setAttribute('aria-valuenow', at.toFixed(1));
    track.setAttribute('aria-valuetext', words);
  };
  const seek = (position) => {
    show(position);
    if (!player.hidden) player.currentTime = at;
  };
  const toPointer = ({ clientX }) => {
    const { left, width } = track.getBoundingClientRect();
    seek((seconds * (clientX - left)) / width);
  };
  track.setAttribute('aria-valuemin', '0');
  track.setAttribute('aria-valuemax', seconds.toFixed(1));
  track.addEventListener('pointerdown', (event) => {
    track.setPointerCapture(event.pointerId);
    toPointer(event);
  });
  track.addEventListener('pointermove', (event) => {
    if (track.hasPointerCapture(event.pointerId)) toPointer(event);
  });
  track.addEventListener('keydown', (event) => onKey(event, { seek, at, seconds, player }));
  let frame = 0;
  const follow = () => {
    show(player.currentTime);
    // One frame at a time, however many events come.
    cancelAnimationFrame(frame);
    if (!player.paused && track.isConnected) frame = requestAnimationFrame(follow);
  };
  for (const name of ['play', 'seeked', 'timeupdate']) player.addEventListener(name, follow, { signal });
  show(0);
}

function keepInView(view, x) {
  if (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth) view.scrollLeft = x - view.clientWidth / 4;
}

function onKey(event, { seek, at, seconds, player }) {
  const moves = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10,
    PageUp: at + 10, Home: 0, End: seconds };
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in moves) seek(moves[event.key]);
  else if (event.key !== ' ') return;
  else if (player.paused) player.play().catch(() => {});
  else player.pause();
  event.preventDefault();
}

function segmentWords({ segments }, at) {
  const here = segments.find(({ start, end }) => start <= at && at < end) ?? segments.at(-1);
  if (!here) return 'nothing heard';
  return typeof here.confidence === 'number' ? `${here.emotion}, ${percent(here.confidence)}` : here.emotion;
}
