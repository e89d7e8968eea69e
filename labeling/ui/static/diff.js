// The differences between two texts, word by word, in rows that begin where both begin a line. No DOM in here.

import { language } from "./i18n.js";

const most = 16_000_000; // cells of the table; longer texts are compared by lines

/** Words and signs in their order, each with the blanks after it; joined they are the text. */
export function words(text) {
  const out = [];
  for (const { segment } of new Intl.Segmenter(language, { granularity: "word" }).segment(text)) {
    for (const piece of segment.split(/(\n)/).filter((part) => part !== "")) {
      if (/^[^\S\n]+$/.test(piece) && out.length > 0 && !out.at(-1).endsWith("\n")) out[out.length - 1] += piece;
      else out.push(piece);
    }
  }
  return out;
}

const key = (word) => word.trim() || word;

/** The longest common subsequence of two lists, as pairs of indices. */
export function common(a, b) {
  let from = 0;
  while (from < a.length && from < b.length && a[from] === b[from]) from++;
  let enda = a.length;
  let endb = b.length;
  while (enda > from && endb > from && a[enda - 1] === b[endb - 1]) {
    enda--;
    endb--;
  }
  const n = enda - from;
  const m = endb - from;
  const width = m + 1;
  const length = new Uint16Array((n + 1) * width); // of the longest one of what follows i and j
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      length[i * width + j] = a[from + i] === b[from + j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const pairs = Array.from({ length: from }, (_, i) => [i, i]);
  for (let i = 0, j = 0; i < n && j < m; ) {
    if (a[from + i] === b[from + j]) pairs.push([from + i++, from + j++]);
    else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  for (let i = 0; enda + i < a.length; i++) pairs.push([enda + i, endb + i]);
  return pairs;
}

/**
 * Rows of two texts side by side. Each side of a row is a list of {text, only}: only says that the other text lacks it.
 * @returns {{rows: {a: {text: string, only: boolean}[], b: {text: string, only: boolean}[]}[], only: [number, number], shared: number}}
 */
export function differences(textA, textB) {
  let a = words(textA);
  let b = words(textB);
  if ((a.length + 1) * (b.length + 1) > most) [a, b] = [textA, textB].map((text) => text.split(/(?<=\n)/));
  const rows = [{ a: [], b: [] }];
  const only = [0, 0];
  let shared = 0;
  const isWord = (part) => /[\p{L}\p{N}]/u.test(part);
  const put = (side, part, alone) => {
    const pieces = rows.at(-1)[side];
    const last = pieces.at(-1);
    if (last && last.only === alone) last.text += part;
    else pieces.push({ text: part, only: alone });
    if (alone && isWord(part)) only[side === "a" ? 0 : 1]++;
  };
  let i = 0;
  let j = 0;
  for (const [x, y] of [...common(a.map(key), b.map(key)), [a.length, b.length]]) {
    while (i < x) put("a", a[i++], true);
    while (j < y) put("b", b[j++], true);
    if (x === a.length) break;
    put("a", a[i++], false);
    put("b", b[j++], false);
    if (isWord(a[x])) shared++;
    if (a[x].endsWith("\n")) rows.push({ a: [], b: [] });
  }
  return { rows, only, shared };
}
