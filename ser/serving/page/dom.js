/** Elements and numbers as people read them. Text from files and servers goes in as text nodes alone. */

/** The element of index.html with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with properties (className, textContent, ...), attributes (what it has no property for), children. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A copy of what a <template> of index.html holds, as a fragment. */
export function copyOf(template) {
  return template.content.cloneNode(true);
}

/** Say something to those who listen to the page rather than look at it. */
export function announce(text) {
  byId('status').textContent = text;
}

/** What a Failure says, as a box; `buttons` are put under it. */
export function failureBox(failure, ...buttons) {
  const title = make('p', { className: 'failure-title', textContent: failure.title });
  const box = make('div', { className: 'failure' }, title, make('p', { textContent: failure.sentence }));
  if (buttons.length) box.append(make('div', { className: 'buttons' }, ...buttons));
  return box;
}

const GAP = '\u00a0';

/** 0.614 -> '61 %'; small shares keep a decimal. A number and its unit stay on one line, here and below. */
export function percent(share) {
  const value = 100 * share;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${GAP}%`;
}

/** 67.4 -> '1:07', 3.25 -> '0:03.3' with one decimal; hours where there are some. */
export function clock(seconds, decimals = 0) {
  const rounded = Number(Math.max(0, seconds).toFixed(decimals));
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** How long, in words: '40 s', '10 min', '1 h 30 min'. */
export function duration(seconds) {
  if (seconds < 60) return `${Number(seconds.toFixed(seconds < 10 ? 1 : 0))}${GAP}s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (!hours) return `${minutes}${GAP}min`;
  return minutes % 60 ? `${hours}${GAP}h ${minutes % 60}${GAP}min` : `${hours}${GAP}h`;
}

/** 26214400 -> '25 MiB'. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes}${GAP}bytes`;
  const [value, unit] = bytes < 1 << 20 ? [bytes / 1024, 'KiB'] : [bytes / (1 << 20), 'MiB'];
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}${GAP}${unit}`;
}
