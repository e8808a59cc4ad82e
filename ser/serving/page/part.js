/** A part of a result that costs the server more work: a button, then waiting, then the part or what went wrong. */

import { announce, failureBox, make } from './dom.js';
import { send } from './api.js';
import { asFailure } from './queue.js';

// What ends the listeners of that which a section shows.
const shown = new WeakMap();

/**
 * Put a button named `label` in `section`; pressed, or at once where `atOnce`, `route` is asked about the item and
 * `show(answer, signal)` fills the section. `signal` is aborted as soon as the section shows something else or the item
 * is removed.
 */
export function part(section, item, { route, label, waiting, atOnce = false }, show) {
  const ask = async () => {
    section.replaceChildren(waitingLine(waiting));
    const signal = shownAnew(section, item.stopper.signal);
    try {
      const answer = await send(route, item.file, item.stopper.signal, (wait) => section.replaceChildren(
        waitingLine(`The server is busy; trying again in ${Math.ceil(wait)} s`)));
      section.replaceChildren();
      await show(answer, signal);
      announce(`${section.getAttribute('aria-label')}: ready`);
    } catch (error) {
      if (error.name === 'AbortError') return;
      const again = make('button', { type: 'button', className: 'button', textContent: 'Try again', onclick: ask });
      const box = failureBox(asFailure(error), again);
      box.setAttribute('role', 'alert');
      section.replaceChildren(box);
    }
  };
  section.replaceChildren(make('button', { type: 'button', className: 'button', textContent: label, onclick: ask }));
  if (atOnce) ask();
}

function shownAnew(section, gone) {
  shown.get(section)?.abort();
  const shows = new AbortController();
  shown.set(section, shows);
  if (gone.aborted) shows.abort();
  gone.addEventListener('abort', () => shows.abort(), { once: true, signal: shows.signal });
  return shows.signal;
}

/** A line that says what is being waited for. */
export function waitingLine(words) {
  return make('p', { className: 'waiting' }, make('span', { className: 'spinner', 'aria-hidden': 'true' }), words);
}
