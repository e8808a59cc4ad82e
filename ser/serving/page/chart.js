/** The picture of a timeline: segments with their names, the waveform, a row of probabilities per class, an axis. */

import { colourOf, SILENCE, UNKNOWN } from './colours.js';
import { clock } from './dom.js';
import { drawPeaks, sharp } from './peaks.js';

// Heights in CSS pixels; style.css gives the names of the rows the same.
const STRIP = 22;
const WAVE = 88;
const LANE = 24;
const AXIS = 24;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];

/** Rows of the chart: every class, then 'unknown' and 'silence' where a segment is called so. */
export function rowsOf({ classes, segments }) {
  const others = [UNKNOWN, SILENCE].filter((name) => segments.some(({ emotion }) => emotion === name));
  // A class may be called so.
  return [...new Set([...classes, ...others])];
}

/** Height of the chart of `rows` in CSS pixels. */
export function chartHeight(rows) {
  return STRIP + WAVE + LANE * rows.length + AXIS;
}

/** Draw a timeline on a canvas; peaks: of the whole recording, or null. */
export function drawChart(canvas, timeline, peaks) {
  const { context, width } = sharp(canvas);
  if (!width) return;
  const style = getComputedStyle(canvas);
  const [quiet, line] = ['--quiet', '--line'].map((name) => style.getPropertyValue(name));
  const x = (seconds) => (width * seconds) / timeline.seconds;
  const scene = { context, width, x, timeline, quiet, line, font: style.fontFamily };
  context.textBaseline = 'middle';
  drawStrip(scene);
  drawWave(scene, peaks);
  rowsOf(timeline).forEach((name, i) => drawLane(scene, name, STRIP + WAVE + LANE * i));
  drawAxis(scene, chartHeight(rowsOf(timeline)) - AXIS);
}

function drawStrip({ context, x, timeline, quiet, font }) {
  context.font = `600 12px ${font}`;
  context.textAlign = 'center';
  for (const { start, end, emotion } of timeline.segments) {
    const [left, span] = [x(start), x(end) - x(start)];
    const silent = emotion === SILENCE;
    if (!silent) {
      context.fillStyle = colourOf(emotion, timeline.classes);
      context.fillRect(left, 0, Math.max(span - 1, 1), STRIP - 2);
    }
    if (context.measureText(emotion).width + 8 <= span) {
      context.fillStyle = silent ? quiet : '#fff';
      context.fillText(emotion, left + span / 2, STRIP / 2);
    }
  }
}

function drawWave({ context, width, timeline, quiet, line }, peaks) {
  const middle = STRIP + WAVE / 2;
  if (!peaks) {
    context.fillStyle = line;
    context.fillRect(0, middle, width, 1);
    return;
  }
  const { segments, seconds, classes } = timeline;
  const colourAt = (share) => {
    const here = segments.find(({ start, end }) => start <= share * seconds && share * seconds < end);
    return here && here.emotion !== SILENCE ? colourOf(here.emotion, classes) : quiet;
  };
  drawPeaks(context, peaks, { width, middle, reach: WAVE / 2 - 5, colourAt });
}

/** How likely the class is, window by window, as depth of colour; under it a bar where a segment is called so. */
function drawLane({ context, width, x, timeline, line }, name, top) {
  context.fillStyle = line;
  context.fillRect(0, top, width, 1);
  context.fillStyle = colourOf(name, timeline.classes);
  timeline.windows.forEach((window, i) => {
    // On whole pixels: neighbours must neither overlap nor leave a gap, which would show as a line.
    const [left, right] = around(timeline, i).map((seconds) => Math.round(x(seconds)));
    context.globalAlpha = window.probabilities?.[name] ?? 0;
    context.fillRect(left, top + 3, Math.max(right - left, 1), LANE - 10);
  });
  context.globalAlpha = 1;
  for (const { start, end, emotion } of timeline.segments) {
    if (emotion === name) context.fillRect(x(start), top + LANE - 6, Math.max(x(end) - x(start) - 1, 1), 5);
  }
}

/** What a window stands for: as far as halfway to its neighbours' middles, since windows overlap. */
function around({ windows, seconds }, i) {
  const middle = (window) => (window.start + window.end) / 2;
  const here = middle(windows[i]);
  const [before, after] = [windows[i - 1], windows[i + 1]];
  return [before ? (middle(before) + here) / 2 : 0, after ? (here + middle(after)) / 2 : seconds];
}

function drawAxis({ context, width, x, timeline, quiet, line, font }, top) {
  context.fillStyle = line;
  context.fillRect(0, top, width, 1);
  const step = STEPS.find((each) => x(each) >= 64) ?? STEPS.at(-1);
  context.font = `12px ${font}`;
  for (let seconds = 0; seconds <= timeline.seconds; seconds += step) {
    const at = x(seconds);
    context.fillStyle = line;
    context.fillRect(Math.min(at, width - 1), top, 1, 5);
    context.fillStyle = quiet;
    context.textAlign = seconds === 0 ? 'left' : at > width - 20 ? 'right' : 'center';
    context.fillText(clock(seconds), at, top + 14);
  }
}
