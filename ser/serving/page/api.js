/** Requests to the server. Whatever goes wrong becomes a Failure whose words a person can act on. */

import { byId, duration, size } from './dom.js';

const TOKEN = 'ser-token';
const TOKEN_WORDS = 'Whoever started the server chose it, with --token or SER_TOKEN.';
// How often a busy server is asked again before a person is, and how long a wait may be for that.
const BUSY_TRIES = 4;
const LONGEST_WAIT = 30;

/** title: what happened. sentence: why, and what to do. retryAfter: seconds, where the server asks for patience. */
export class Failure extends Error {
  constructor(title, sentence, { status = 0, retryAfter = null, again = false } = {}) {
    super(`${title}: ${sentence}`);
    Object.assign(this, { title, sentence, status, retryAfter, again });
  }
}

/** What GET /model says. */
export function fetchModel() {
  return ask('model');
}

/**
 * The answer of `predict`, `timeline` or `explain` about a File. Throws Failure; AbortError where `signal` says so.
 * A busy server is asked again after the time it names; `onBusy` gets the seconds.
 */
export async function send(route, file, signal, onBusy = () => {}) {
  const request = () => {
    const body = new FormData();
    body.append('file', file, file.name);
    return { method: 'POST', body, signal };
  };
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask(route, request);
    } catch (error) {
      const wait = error.retryAfter ?? 1;
      if (error.status !== 429 || tries === BUSY_TRIES || wait > LONGEST_WAIT) throw error;
      onBusy(wait);
      // Not all pages that were sent away at once come back at once.
      await pause(wait * (1 + Math.random() / 4), signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer);
      reject(new DOMException('removed', 'AbortError'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', leave);
      resolve();
    }, 1000 * seconds);
    signal?.addEventListener('abort', leave, { once: true });
  });
}

/** Throw the Failure of a File that need not be sent: the server would refuse it, or the browser cannot read it. */
export async function check(file, limits) {
  if (limits && file.size > limits.max_bytes) {
    const [here, most] = [size(file.size), size(limits.max_bytes)];
    throw new Failure('Too large', `The file has ${here}; this server takes up to ${most}. Save it as FLAC or MP3.`);
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Failure('The file cannot be read', 'Is it a folder? Or it was moved or deleted since it was chosen.');
  }
  if (!file.size) throw new Failure('Empty file', 'It holds no bytes, so there is nothing to analyse.');
}

async function ask(route, request = () => ({})) {
  let rejected = false;
  for (;;) {
    const used = sessionStorage.getItem(TOKEN);
    const response = await reach(route, request(), used);
    if (response.status !== 401) return answerOf(response);
    // Another request may have brought a good token meanwhile.
    if (sessionStorage.getItem(TOKEN) === used) {
      sessionStorage.removeItem(TOKEN);
      rejected = used !== null;
      if (!await tokenFromPerson(rejected)) throw await failureOf(response);
    }
  }
}

async function reach(route, options, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    return await fetch(route, { ...options, headers, cache: 'no-store', credentials: 'same-origin' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Failure('No answer from the server', 'It may have been stopped, or the network is down. Start it again '
      + 'with "ser serve", then try once more.', { again: true });
  }
}

async function answerOf(response) {
  if (!response.ok) throw await failureOf(response);
  try {
    return await response.json();
  } catch {
    throw new Failure('An answer that makes no sense', 'The server sent something that is not JSON. Is another program '
      + 'listening at this address?', { status: response.status, again: true });
  }
}

async function failureOf(response) {
  const { status } = response;
  const said = await saidBy(response);
  const wait = Number.parseFloat(response.headers.get('Retry-After'));
  const retryAfter = Number.isFinite(wait) ? Math.max(1, wait) : null;
  const [title, otherwise] = {
    400: ['Not a recording that can be read', 'Is it really audio? WAV, FLAC, OGG and MP3 are understood.'],
    401: ['A token is needed', 'Nothing was sent on. Ask whoever started the server for its token and try again.'],
    413: ['Too large or too long', 'Cut the recording into shorter pieces.'],
    422: ['The request cannot be answered', 'Reload the page: it may be older than the server.'],
    429: ['The server is busy', `It answers others first. Try again in ${duration(retryAfter ?? 1)}.`],
    503: ['The server answers nobody now', 'It is starting, ending or stuck. Try again in a while.'],
    504: ['It took too long', 'The server gave up on this recording. Try a shorter one, or again later.'],
  }[status] ?? [`The server could not answer (${status})`, 'Its log says why.'];
  return new Failure(title, said || otherwise, { status, retryAfter, again: ![400, 413].includes(status) });
}

async function saidBy(response) {
  try {
    const { error } = await response.json();
    return typeof error === 'string' && error ? error.replace(/[^.!?]$/, '$&.') : '';
  } catch {
    return '';
  }
}

let asking = null;

/** Whether a person gave a token; one dialog for all requests that wait for it. */
function tokenFromPerson(rejected) {
  asking ??= askForToken(rejected).finally(() => { asking = null; });
  return asking;
}

function askForToken(rejected) {
  const dialog = byId('token-dialog');
  const field = byId('token-field');
  byId('token-words').textContent = rejected ? 'The server did not accept that token. Check it and try again.'
    : TOKEN_WORDS;
  field.value = '';
  dialog.returnValue = '';
  byId('token-cancel').onclick = () => dialog.close('');
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      const token = field.value.trim();
      const given = dialog.returnValue === 'use' && token !== '';
      if (given) sessionStorage.setItem(TOKEN, token);
      field.value = '';
      resolve(given);
    }, { once: true });
  });
}
