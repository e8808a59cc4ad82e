/** A part of a result that costs the server more work: a button, then waiting, then the part or what went wrong. */

import { announce, failureBox, make } from './dom.js';
import { send } from './api.js';
import { asFailure } from './queue.js';

/**
 * Put a button named `label` in `section`; pressed, or at once where `atOnce`, `route` is asked about the item and
 * `show(answer)` fills the section.
 */
export function part(section, item, { route, label, waiting, atOnce = false }, show) {
  const ask = async () => {
    section.replaceChildren(waitingLine(waiting));
    try {
      const answer = await send(route, item.file, item.stopper.signal, (wait) => section.replaceChildren(
        waitingLine(`The server is busy; trying again in ${Math.ceil(wait)} s`)));
      section.replaceChildren();
      await show(answer);
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

/** A line that says what is being waited for. */
export function waitingLine(words) {
  return make('p', { className: 'waiting' }, make('span', { className: 'spinner', 'aria-hidden': 'true' }), words);
}
