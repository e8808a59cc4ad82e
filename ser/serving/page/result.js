/** The answer for one recording: what is named, how sure, all probabilities, playback, and the parts on demand. */

import { colourOf } from './colours.js';
import { byId, copyOf, make, percent } from './dom.js';
import { explainPart } from './explain.js';
import { saveCsv, saveJson, stem } from './save.js';
import { timelinePart } from './timeline.js';

/** An element with the result of a finished Item; made once, so that it keeps its state while others are looked at. */
export function resultPanel(item, model) {
  const { result } = item;
  const panel = copyOf(byId('result-template')).firstElementChild;
  const find = (name) => panel.querySelector(name);
  find('.answer-file').textContent = item.file.name;
  find('.answer-emotion').textContent = result.emotion;
  find('.answer-confidence').textContent = isNamed(result) ? percent(result.confidence) : '';
  find('.answer-words').textContent = words(result);
  find('.bars').hidden = result.silent;
  if (!result.silent) fillBars(find('.bars'), result, Object.keys(result.probabilities));
  const player = find('.player');
  player.addEventListener('error', () => {
    player.hidden = true;
    find('.player-words').hidden = false;
  });
  player.src = item.url;
  player.setAttribute('aria-label', `Listen to ${item.file.name}`);
  // Of silence there is no more to say.
  for (const each of panel.querySelectorAll('section.part')) each.hidden = result.silent;
  if (!result.silent) {
    timelinePart(find('.part-timeline'), item, player);
    explainPart(find('.part-explain'), item, player);
  }
  find('.save-json').onclick = () => saveJson(`${stem(item.file.name)}.json`, [item], model);
  find('.save-csv').onclick = () => saveCsv(`${stem(item.file.name)}.csv`, [item]);
  return panel;
}

/** Whether a class is named, which may be called 'unknown' or 'silence' as well. */
function isNamed({ emotion, likeliest }) {
  return emotion === likeliest;
}

function words(result) {
  if (result.silent) return 'Nothing is to be heard in this recording, so the model was not asked about it.';
  const short = 'This recording is shorter than any syllable: what is said of it says little. ';
  return `${result.short ? short : ''}${meaningOf(result)}`;
}

function meaningOf(result) {
  const meaning = result.calibrated
    ? 'Calibrated: on the validation recordings, answers with such a probability were right about that often.'
    : 'Not calibrated: trust the order of the classes more than the numbers.';
  if (isNamed(result)) return meaning;
  return `No class is named: the likeliest, ${result.likeliest}, has ${percent(result.confidence)}, and this model `
    + `names one from ${percent(result.threshold)} on. Below that it was wrong too often on the validation recordings.`;
}

function fillBars(table, { probabilities, threshold }, classes) {
  if (threshold !== null && threshold !== undefined) {
    table.caption.append(make('span', { className: 'quiet', textContent: ` (line: ${percent(threshold)}, the least at `
      + 'which one is named)' }));
  }
  const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  for (const [name, share] of sorted) {
    const bar = make('div', { className: 'bar' });
    bar.style.width = `${100 * share}%`;
    bar.style.backgroundColor = colourOf(name, classes);
    const ground = make('div', { className: 'bar-ground' }, bar);
    if (threshold) {
      const line = make('div', { className: 'bar-line' });
      line.style.left = `${100 * threshold}%`;
      ground.append(line);
    }
    table.tBodies[0].append(make('tr', {}, make('th', { scope: 'row', textContent: name }),
      make('td', { 'aria-hidden': 'true' }, ground), make('td', { className: 'number', textContent: percent(share) })));
  }
}
