/** The session's recordings, sent to the server one after the other. */

import { check, Failure, send } from './api.js';

/**
 * One recording. state: 'waiting', 'running', 'done' or 'failed'. words: what is being waited for, while it runs.
 * result: what /predict said; timeline: what /timeline said, where asked; failure: a Failure.
 */
class Item {
  constructor(file) {
    Object.assign(this, { file, state: 'waiting', words: '', result: null, timeline: null, failure: null });
    this.panel = null;
    this.url = URL.createObjectURL(file);
    this.stopper = new AbortController();
  }
}

/** Dispatches 'change' with `detail` the Item that changed, or null where one came or went. */
export class Queue extends EventTarget {
  items = [];
  limits = null;
  #running = false;

  /** New Items of Files, in order; they run as soon as those before them are done. */
  add(files) {
    const added = [...files].map((file) => new Item(file));
    this.items.push(...added);
    this.#changed(null);
    this.#run();
    return added;
  }

  /** Forget an Item; a request for it is broken off. */
  remove(item) {
    item.stopper.abort();
    URL.revokeObjectURL(item.url);
    this.items = this.items.filter((each) => each !== item);
    this.#changed(null);
  }

  /** Send an Item that failed once more. */
  again(item) {
    Object.assign(item, { state: 'waiting', failure: null, words: '' });
    this.#changed(item);
    this.#run();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (;;) {
      const item = this.items.find((each) => each.state === 'waiting');
      if (!item) break;
      await this.#predict(item);
    }
    this.#running = false;
  }

  async #predict(item) {
    this.#set(item, { state: 'running', words: 'Analysing' });
    try {
      await check(item.file, this.limits);
      const result = await send('predict', item.file, item.stopper.signal,
        (wait) => this.#set(item, { words: `The server is busy; trying again in ${Math.ceil(wait)} s` }));
      this.#set(item, { state: 'done', result });
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.#set(item, { state: 'failed', failure: asFailure(error) });
    }
  }

  #set(item, facts) {
    Object.assign(item, facts);
    this.#changed(item);
  }

  #changed(item) {
    this.dispatchEvent(new CustomEvent('change', { detail: item }));
  }
}

/** The Failure that an error is, or one for an error of this page's own. */
export function asFailure(error) {
  if (error instanceof Failure) return error;
  return new Failure('This page could not show the answer', `${error.message}. Reload it and try again.`);
}
