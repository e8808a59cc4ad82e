/** The page: header, files in, the list of the session, the panel of the one looked at. */

import { fetchModel } from './api.js';
import { announce, byId, copyOf, duration, failureBox, make, percent, size } from './dom.js';
import { waitingLine } from './part.js';
import { asFailure, Queue } from './queue.js';
import { record } from './recorder.js';
import { resultPanel } from './result.js';
import { saveCsv, saveJson } from './save.js';

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const queue = new Queue();
let model = null;
let selected = null;

async function loadModel() {
  byId('input-failure').replaceChildren();
  try {
    model = await fetchModel();
  } catch (error) {
    byId('model-name').textContent = 'not reached';
    const again = make('button', { type: 'button', className: 'button', textContent: 'Try again', onclick: loadModel });
    byId('input-failure').replaceChildren(failureBox(asFailure(error), again));
    return;
  }
  queue.limits = model.limits;
  showModel();
}

function showModel() {
  const { name, system, classes, score, calibrated, threshold, limits, notes, sample_rate: rate } = model;
  byId('model-name').textContent = name;
  byId('model-system').textContent = `${system}, ${Number((rate / 1000).toFixed(2))} kHz`;
  byId('model-calibrated').textContent = !calibrated ? 'Not calibrated'
    : `Calibrated${threshold ? `, names a class from ${percent(threshold)}` : ''}`;
  byId('model-system').hidden = byId('model-calibrated').hidden = false;
  byId('model-score').textContent = score ?? 'This run holds no test score.';
  byId('model-classes').replaceChildren(...classes.map((each) => make('li', { textContent: each })));
  byId('model-notes').replaceChildren(...notes.map((note) => make('li', { textContent: note })));
  byId('model-notes').hidden = notes.length === 0;
  byId('limits').textContent = `WAV, FLAC, OGG or MP3, each up to ${size(limits.max_bytes)} and `
    + `${duration(limits.max_seconds)}.`;
}

function addFiles(files) {
  if (!files.length) return;
  byId('input-failure').replaceChildren();
  select(queue.add(files)[0]);
}

function select(item) {
  const old = selected;
  selected = item;
  if (old && old !== item) old.panel?.querySelector('audio')?.pause();
  showItems();
  showPanel();
}

function stateWords({ state, words, result, failure }) {
  if (state === 'done') return result.silent ? result.emotion : `${result.emotion}, ${percent(result.confidence)}`;
  if (state === 'failed') return failure.title;
  return state === 'running' ? words : 'Waiting';
}

function showItems() {
  byId('session').hidden = queue.items.length === 0;
  const focused = document.activeElement;
  const at = [...byId('items').children].findIndex((row) => row.contains(focused));
  const control = focused?.classList.contains('item-remove') ? '.item-remove' : '.item-open';
  byId('items').replaceChildren(...queue.items.map(itemRow));
  const rows = byId('items').children;
  // The list is made anew: who was in it stays there.
  if (at >= 0) (rows[Math.min(at, rows.length - 1)]?.querySelector(control) ?? byId('files')).focus();
}

function itemRow(item) {
  const row = copyOf(byId('item-template')).firstElementChild;
  row.classList.add(item.state);
  row.querySelector('.item-name').textContent = item.file.name;
  row.querySelector('.item-state').textContent = stateWords(item);
  const open = row.querySelector('.item-open');
  if (item === selected) open.setAttribute('aria-current', 'true');
  open.onclick = () => {
    select(item);
    const result = byId('result');
    if (result.getBoundingClientRect().top > window.innerHeight / 2) result.scrollIntoView();
  };
  const remove = row.querySelector('.item-remove');
  remove.setAttribute('aria-label', `Remove ${item.file.name}`);
  remove.onclick = () => {
    queue.remove(item);
    if (item === selected) select(queue.items.at(-1) ?? null);
  };
  return row;
}

function showPanel() {
  byId('empty').hidden = selected !== null;
  byId('panel').replaceChildren(...(selected ? [panelOf(selected)] : []));
}

function panelOf(item) {
  if (item.state === 'done') {
    item.panel ??= resultPanel(item, model);
    return item.panel;
  }
  const name = make('h3', { className: 'answer-file', textContent: item.file.name });
  if (item.state !== 'failed') return make('div', {}, name, waitingLine(stateWords(item)));
  const again = make('button', { type: 'button', className: 'button', textContent: 'Try again' });
  again.onclick = () => queue.again(item);
  const box = failureBox(item.failure, ...(item.failure.again ? [again] : []));
  box.setAttribute('role', 'alert');
  return make('div', {}, name, box);
}

async function recordOne() {
  byId('input-failure').replaceChildren();
  byId('record').disabled = true;
  try {
    const file = await record(queue.limits);
    if (file) addFiles([file]);
    else announce('Recording cancelled');
  } catch (error) {
    byId('input-failure').replaceChildren(failureBox(asFailure(error)));
  }
  byId('record').disabled = false;
  byId('record').focus();
}

function acceptDrops() {
  const zone = byId('drop');
  // Anywhere on the page: a file dropped beside the zone would replace the page otherwise.
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.toggle('over', [...event.dataTransfer.types].includes('Files'));
  });
  window.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) zone.classList.remove('over');
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    zone.classList.remove('over');
    addFiles([...event.dataTransfer.files]);
  });
}

queue.addEventListener('change', ({ detail: item }) => {
  showItems();
  if (item === selected && item) showPanel();
  if (item?.state === 'done') announce(`${item.file.name}: ${stateWords(item)}`);
});
byId('files').addEventListener('change', ({ target }) => {
  addFiles([...target.files]);
  target.value = '';
});
const finished = () => queue.items.filter(({ state }) => state === 'done' || state === 'failed');
byId('record').onclick = recordOne;
byId('all-json').onclick = () => saveJson('emotions.json', finished(), model);
byId('all-csv').onclick = () => saveCsv('emotions.csv', finished());
byId('clear').onclick = () => {
  for (const item of [...queue.items]) queue.remove(item);
  select(null);
  byId('files').focus();
};
if (LOOPBACK.test(window.location.hostname)) {
  byId('privacy-where').textContent = 'Audio stays on this machine: it is sent to this server only.';
}
acceptDrops();
loadModel();
