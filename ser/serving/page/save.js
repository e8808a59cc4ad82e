/** Results as files: JSON as the server said it, CSV for tables. */

import { make } from './dom.js';

/** Offer `text` as a download. */
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Download finished items as JSON: the model, then for each file what /predict and, where asked, /timeline said. */
export function saveJson(name, items, model) {
  const results = items.map((item) => (item.failure ? { file: item.file.name, error: item.failure.message }
    : { ...item.result, ...(item.timeline && { timeline: item.timeline }) }));
  save(name, `${JSON.stringify({ model: model && { name: model.name, system: model.system }, results }, null, 2)}\n`,
    'application/json');
}

const HEAD = ['file', 'seconds', 'emotion', 'likeliest', 'confidence', 'silent', 'threshold', 'calibrated', 'error'];

/** Download finished items as CSV: a row per file, a column per class: p(NAME) where one is called as a column is. */
export function saveCsv(name, items) {
  const classes = [...new Set(items.flatMap((item) => Object.keys(item.result?.probabilities ?? {})))];
  const columns = classes.some((each) => HEAD.includes(each)) ? classes.map((each) => `p(${each})`) : classes;
  const rows = items.map(({ file, result, failure }) => [file.name, result?.seconds, result?.emotion, result?.likeliest,
    result?.confidence, result?.silent, result?.threshold, result?.calibrated, failure?.message,
    ...classes.map((each) => result?.probabilities[each])]);
  save(name, csv([[...HEAD, ...columns], ...rows]), 'text/csv');
}

/** Download the segments of a timeline as CSV. */
export function saveSegments(name, timeline) {
  const rows = timeline.segments.map((each) => [each.start, each.end, each.emotion, each.confidence]);
  save(name, csv([['start', 'end', 'emotion', 'confidence'], ...rows]), 'text/csv');
}

/** 'a/b?.wav' -> 'a_b_': what a download of this file may be called, without its suffix. */
export function stem(name) {
  return name.replace(/\.[^.]*$/, '').replace(/[^\p{L}\p{N}._ -]+/gu, '_').slice(0, 80) || 'recording';
}

function csv(rows) {
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value) {
  if (typeof value === 'number') return String(value);
  let text = String(value ?? '');
  // A spreadsheet would run a file name that starts like a formula.
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
