// The texts of the page in its language, and numbers and lists as that language writes them. Every text that people read
// stands in ui/strings, under the same key in each language.

export const language = document.documentElement.lang.slice(0, 2);

const { default: strings } = await import(`./strings/${language}.js`);

const numbers = new Intl.NumberFormat(language);
const lists = new Intl.ListFormat(language === "en" ? "en-GB" : language); // A, B and C

/** The text of a key, with each {name} replaced by its value. */
export function t(key, values = {}) {
  return strings[key].replace(/\{(\w+)\}/g, (whole, name) => (typeof values[name] === "number" ? number(values[name]) : (values[name] ?? whole)));
}

export const number = (value) => numbers.format(value);

/** "A", "A and B", "A, B and C". */
export const listing = (words) => lists.format(words);
