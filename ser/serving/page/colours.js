/** One colour per class. White text is readable on each, and each stands out from a light and a dark page. */

const NAMED = {
  neutral: '#606f84', calm: '#127b77', happy: '#92650c', sad: '#2d6ad2', angry: '#cb362b', fear: '#934ec4',
  disgust: '#337d33', surprise: '#c5317b',
};
const OTHERS = ['#af541f', '#685ed0', '#6c731d', '#11769b'];
const NEITHER = '#6b6f76';

/** What stands in a timeline beside the classes. */
export const UNKNOWN = 'unknown';
export const SILENCE = 'silence';

/** The colour of a class among `classes`, of UNKNOWN or of SILENCE. */
export function colourOf(name, classes) {
  if (!classes.includes(name)) return NEITHER;
  const others = classes.filter((each) => !Object.hasOwn(NAMED, each));
  return Object.hasOwn(NAMED, name) ? NAMED[name] : OTHERS[others.indexOf(name) % OTHERS.length];
}
