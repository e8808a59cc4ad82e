/** What a waveform looks like: the least and the greatest sample of each of many equal spans. */

// Enough for a picture, little enough in memory for half an hour.
const RATE_HZ = 8000;
const MOST_BYTES = 64 << 20;
const MOST_SECONDS = 3600;

/** `count` pairs [min, max] in [-1, 1] of an audio file; null where this browser cannot read it or it is too long. */
export async function peaksOf(file, seconds, count) {
  if (file.size > MOST_BYTES || seconds > MOST_SECONDS) return null;
  try {
    const audio = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await file.arrayBuffer());
    return spans(audio.getChannelData(0), count);
  } catch {
    return null;
  }
}

function spans(samples, count) {
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * samples.length) / count);
    const end = Math.max(start + 1, Math.floor(((i + 1) * samples.length) / count));
    let [least, greatest] = [0, 0];
    for (let j = start; j < end && j < samples.length; j += 1) {
      if (samples[j] < least) least = samples[j];
      else if (samples[j] > greatest) greatest = samples[j];
    }
    return [least, greatest];
  });
}

/** Draw peaks between x = 0 and `width` about `middle`; the loudest reaches `reach`. colourAt: share -> colour. */
export function drawPeaks(context, peaks, { width, middle, reach, colourAt }) {
  const loudest = peaks.reduce((most, [low, high]) => Math.max(most, -low, high), 1e-4);
  const step = width / peaks.length;
  peaks.forEach(([low, high], i) => {
    context.fillStyle = colourAt((i + 0.5) / peaks.length);
    const top = middle - (high / loudest) * reach;
    const bottom = middle - (low / loudest) * reach;
    context.fillRect(i * step, top, Math.max(step * 0.8, 0.6), Math.max(bottom - top, 1));
  });
}

/** A canvas made as sharp as the screen: its context, in CSS pixels, and its width and height. */
export function sharp(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  return { context, width, height };
}

/** Draw now, and again whenever the canvas changes its size or the page its colours, until `signal` ends it. */
export function keepDrawn(canvas, draw, signal) {
  if (signal.aborted) return;
  const observer = new ResizeObserver(draw);
  observer.observe(canvas);
  signal.addEventListener('abort', () => observer.disconnect(), { once: true });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw, { signal });
}
