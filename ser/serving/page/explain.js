/** What the model saw of a recording and which parts of it moved the answer. */

import { byId, clock, copyOf, make } from './dom.js';
import { part } from './part.js';
import { drawPeaks, keepDrawn, sharp } from './peaks.js';

const TITLES = { cqt: 'Constant-Q transform', mel: 'Mel spectrogram', mfcc: 'MFCC', chroma: 'Chroma',
  waveform: 'Waveform' };
const VIEW_WORDS = ' from start to end of what the network heard';
const UPWARDS = ', low frequencies at the bottom';
const SALIENCY = 'These pictures are all that the network saw. Saliency is bright where a small change of the picture '
  + 'would move the answer most: it says where, not why, and is no evidence about the speaker.';

/** Fill `section` with what the model looked at in an Item's recording from second `start` on; null: once asked. */
export function explainPart(section, item, player, start = null) {
  const asked = { route: start === null ? 'explain' : `explain?start=${start.toFixed(2)}`, atOnce: start !== null,
    label: 'Show what the model looked at', waiting: 'Working out what counted' };
  part(section, item, asked, (facts, signal) => {
    section.append(copyOf(byId('explain-template')));
    const { start: from, seconds, views } = facts;
    const figures = section.querySelector('.figures');
    figures.append(waveFigure(facts, signal), ...views.map(viewFigure));
    section.querySelector('.explain-words').textContent = views.length ? SALIENCY : 'This model sees no pictures.';
    const toggle = section.querySelector('.explain-toggle');
    const overlays = [...figures.querySelectorAll('.saliency')];
    toggle.closest('label').hidden = overlays.length === 0;
    toggle.onchange = () => overlays.forEach((image) => { image.hidden = !toggle.checked; });
    if (item.result.seconds - seconds > 0.05) offerOther(section, item, player, from, seconds);
  });
}

/** A model looks at a stretch at a time: say at which, and offer the one where the player stands. */
function offerOther(section, item, player, from, seconds) {
  const words = `Shown: ${clock(from, 1)} to ${clock(from + seconds, 1)} of the recording.`;
  section.querySelector('.explain-where').hidden = false;
  section.querySelector('.explain-stretch').textContent = words;
  section.querySelector('.explain-here').onclick = () => {
    const start = Math.max(0, Math.min(player.currentTime, item.result.seconds - 1));
    explainPart(section, item, player, start);
  };
}

function viewFigure({ name, png, saliency }) {
  const title = Object.hasOwn(TITLES, name) ? TITLES[name] : name;
  const frame = make('div', { className: 'view' }, make('img', { src: png, alt: `${title} as the network saw it` }));
  if (saliency) frame.append(make('img', { className: 'saliency', src: saliency, alt: `Saliency on the ${title}` }));
  return make('figure', {}, frame, make('figcaption', {}, make('strong', { textContent: title }),
    make('span', { className: 'quiet', textContent: `${VIEW_WORDS}${name === 'waveform' ? '' : UPWARDS}` })));
}

function waveFigure({ waveform, attention, start, seconds }, signal) {
  const words = attention ? 'Waveform, and below how much weight each moment got (attention)' : 'Waveform';
  const canvas = make('canvas', { className: 'explain-wave', role: 'img' });
  canvas.setAttribute('aria-label', attention ? `${words}. ${heaviest(attention)}` : words);
  keepDrawn(canvas, () => drawWave(canvas, waveform.peaks, attention, start, seconds), signal);
  const caption = make('figcaption', {}, make('strong', { textContent: words }));
  if (attention) caption.append(make('span', { className: 'quiet', textContent: ` ${heaviest(attention)}` }));
  return make('figure', { className: 'across' }, canvas, caption);
}

function spansOf({ start, end, weights }) {
  const step = (end - start) / weights.length;
  return weights.map((weight, i) => ({ start: start + i * step, end: start + (i + 1) * step, weight }));
}

function heaviest(attention) {
  const most = spansOf(attention).reduce((best, each) => (each.weight > best.weight ? each : best));
  return `Most weight: at ${clock((most.start + most.end) / 2, 1)}.`;
}

function drawWave(canvas, peaks, attention, start, seconds) {
  const { context, width, height } = sharp(canvas);
  if (!width) return;
  const style = getComputedStyle(canvas);
  const wave = attention ? height * 0.6 : height;
  drawPeaks(context, peaks, { width, middle: wave / 2, reach: wave / 2 - 4,
    colourAt: () => style.getPropertyValue('--quiet') });
  if (!attention) return;
  const spans = spansOf(attention);
  const most = Math.max(...spans.map(({ weight }) => weight), 1e-12);
  const x = (time) => (width * (time - start)) / seconds;
  context.fillStyle = style.getPropertyValue('--accent');
  for (const { start: from, end: to, weight } of spans) {
    const tall = (weight / most) * (height - wave - 4);
    context.fillRect(x(from), height - tall, Math.max(x(to) - x(from), 0.5), tall);
  }
}
