// Charts as SVG drawn through the DOM. Each is a figure with a title, a note and a table of its numbers beside it; colours
// are the page's own, for light and dark, and nothing is told by colour alone.

import { element } from "./dom.js";
import { number, t } from "./i18n.js";

const namespace = "http://www.w3.org/2000/svg";
let figures = 0;

/** Makes an SVG element. */
export function mark(tag, attributes = {}, ...children) {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * A figure. draw takes the width there is, in CSS pixels, and returns the drawing, so that letters keep their size on a phone.
 * @param {{title: string, note?: string, legend?: Node, draw: (width: number) => SVGElement, table: HTMLTableElement, wide?: boolean}} parts
 */
export function chart({ title, note, legend, draw, table, wide }) {
  const id = `chart-${++figures}`;
  const plot = element("div", { class: "plot" });
  const caption = element("figcaption", {}, element("h3", { id: `${id}-title` }, title));
  if (note) caption.append(element("p", { class: "fine", id: `${id}-note` }, note));
  let drawn = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (width === 0 || width === drawn) return;
    drawn = width;
    const drawing = draw(width);
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-labelledby", `${id}-title`);
    if (note) drawing.setAttribute("aria-describedby", `${id}-note`);
    plot.replaceChildren(drawing);
    if (drawing.getAttribute("width") > width) plot.tabIndex = 0; // it scrolls sideways
    else plot.removeAttribute("tabindex");
  }).observe(plot);
  const numbers = element("div", { class: "scroll numbers", tabindex: "0", role: "region", "aria-label": t("charts.table", { title }) }, table);
  return element("figure", { class: wide ? "chart wide-chart" : "chart" }, caption, ...(legend ? [legend] : []), element("div", { class: "chart-body" }, plot, numbers));
}

/** The key of a chart of several series, in the order and with the fillings of timeline. */
export function legend(names) {
  return element("ul", { class: "legend" }, ...names.map((name, i) => element("li", {}, swatch(i), name)));
}

function swatch(i) {
  const hatch = hatching();
  return mark("svg", { width: 16, height: 16, "aria-hidden": "true", class: "swatch" }, hatch.definition, filled(0.5, 0.5, 15, 15, i, hatch));
}

/** A rectangle of the nth series: the first is plain, the second hatched. */
function filled(x, y, width, height, i, hatch) {
  return mark("rect", { x, y, width, height, rx: 2, class: i === 0 ? "bar-plain" : "bar-hatched", fill: i === 0 ? undefined : hatch.use });
}

function hatching() {
  const id = `hatch-${++figures}`;
  const pattern = mark("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    mark("rect", { width: 6, height: 6, class: "hatch-ground" }), mark("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch-line" }));
  return { definition: mark("defs", {}, pattern), use: `url(#${id})` };
}

/** About how wide a text of 13 px is: Chinese characters are square. */
export const breadth = (text) => [...text].reduce((sum, c) => sum + (c > "\u2e80" ? 13.5 : /[A-Z0-9mw%]/.test(c) ? 8.4 : 7), 0);

/** A text that fits, cut with an ellipsis if it must be. */
export function fitted(text, width) {
  if (breadth(text) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && breadth(`${letters.join("")}…`) > width) letters.pop();
  return `${letters.join("")}…`;
}

/** Round numbers from low to high, at most about as many as asked for; steps, if given, are the distances to choose from. */
export function ticks(low, high, wanted, steps) {
  const raw = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const distances = steps ?? [1, 2, 5, 10].map((f) => f * power);
  const step = distances.find((s) => s >= raw * 0.999) ?? Math.ceil(raw / distances.at(-1)) * distances.at(-1);
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}

function drawing(width, height) {
  return mark("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "drawing" });
}

function label(x, y, text, anchor = "start", kind = "") {
  return mark("text", { x, y, "text-anchor": anchor, class: kind }, text);
}

const hint = (text) => mark("title", {}, text);

/**
 * A square of cells, the darker the higher; each cell says its value. at(i, j) gives {value, text, hint}, or null for no value.
 * The scale runs from low to high.
 */
export function heatMap({ names, at, low, high }) {
  return (width) => {
    const n = names.length;
    const left = Math.min(Math.max(60, 34 + Math.max(...names.map(breadth))), Math.max(96, width * 0.34));
    const side = Math.min(96, Math.max(46, Math.floor((width - left - 1) / n)));
    const height = Math.min(side, 48);
    const named = names.every((name) => breadth(name) < side - 4);
    const picture = drawing(left + n * side + 1, 26 + n * height + 1);
    const hatch = hatching();
    picture.append(hatch.definition);
    names.forEach((name, i) => {
      picture.append(label(left + (i + 0.5) * side, 16, named ? name : String(i + 1), "middle", "quiet-text"));
      picture.append(label(0, 26 + (i + 0.5) * height + 4.5, named ? fitted(name, left - 8) : fitted(`${i + 1}  ${name}`, left - 8)));
      names.forEach((other, j) => picture.append(...heatCell(left + j * side, 26 + i * height, side, height, i === j ? undefined : at(i, j), low, high, hatch)));
    });
    return picture;
  };
}

function heatCell(x, y, width, height, cell, low, high, hatch) {
  const box = mark("rect", { x: x + 1, y: y + 1, width: width - 2, height: height - 2, rx: 5, class: cell === undefined ? "heat-self" : "heat" });
  if (cell === undefined) return [box]; // a labeler and himself
  if (cell === null) {
    box.setAttribute("fill", hatch.use);
    box.setAttribute("class", "heat-none");
    return [box];
  }
  const share = Math.min(1, Math.max(0, (cell.value - low) / (high - low)));
  box.style.fill = `color-mix(in oklab, var(--accent) ${(4 + 44 * share).toFixed(1)}%, var(--surface))`;
  box.append(hint(cell.hint));
  const text = label(x + width / 2, y + height / 2 + 4.5, cell.text, "middle");
  text.append(hint(cell.hint));
  return [box, text];
}

/**
 * Values with their intervals on one scale, one row each: {name, value, low, high, text, hint}; a value of null leaves its row
 * empty. line is a value to compare with.
 */
export function forest({ rows, format, line, lineName, from, to, steps }) {
  const ends = rows.flatMap((row) => [row.low, row.high, row.value]).concat(line ?? []).filter((v) => typeof v === "number");
  let low = from ?? Math.min(...ends);
  let high = to ?? Math.max(...ends);
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const margin = (high - low) * 0.04;
  if (from === undefined) low -= margin;
  if (to === undefined) high += margin;
  return (width) => {
    const left = Math.min(Math.max(56, 10 + Math.max(...rows.map((row) => breadth(row.name)))), width * 0.34);
    const right = 12 + Math.max(...rows.map((row) => breadth(row.text)));
    const step = 34;
    const bottom = 8 + rows.length * step;
    const place = (v) => left + 8 + ((v - low) / (high - low)) * (width - left - right - 16);
    const picture = drawing(width, bottom + 24 + (line === undefined ? 0 : 18));
    for (const tick of ticks(low, high, (width - left - right) / 54, steps)) {
      picture.append(mark("line", { x1: place(tick), x2: place(tick), y1: 4, y2: bottom, class: "grid-line" }), label(place(tick), bottom + 17, format(tick), "middle", "quiet-text"));
    }
    if (line !== undefined) {
      picture.append(mark("line", { x1: place(line), x2: place(line), y1: 4, y2: bottom, class: "reference-line" }));
      picture.append(label(Math.min(width - breadth(lineName) / 2, Math.max(breadth(lineName) / 2, place(line))), bottom + 35, lineName, "middle", "quiet-text"));
    }
    rows.forEach((row, i) => picture.append(...forestRow(row, 8 + (i + 0.5) * step, place, left, width)));
    return picture;
  };
}

function forestRow(row, y, place, left, width) {
  const name = label(0, y + 4.5, fitted(row.name, left - 8));
  name.append(hint(row.name));
  const out = [name, label(width, y + 4.5, row.text, "end", "value-text")];
  if (typeof row.value !== "number") return out;
  const group = mark("g", {}, hint(row.hint ?? `${row.name}: ${row.text}`));
  if (typeof row.low === "number" && typeof row.high === "number") {
    const [a, b] = [place(row.low), place(row.high)];
    for (const [x1, x2, up] of [[a, b, 0], [a, a, 5], [b, b, 5]]) group.append(mark("line", { x1, x2, y1: y - up, y2: y + up, class: "whisker-line" }));
  }
  const x = place(row.value);
  group.append(mark("polygon", { points: [[x, y - 7], [x + 7, y], [x, y + 7], [x - 7, y]].join(" "), class: "diamond" }));
  return [...out, group];
}

/** Columns over time, the series of each stacked: points are {name, parts: [number…], hint}. */
export function timeline({ points, height = 280 }) {
  return (width) => {
    const most = Math.max(1, ...points.map((point) => point.parts.reduce((a, b) => a + b, 0)));
    const marks = ticks(0, most, 4).filter(Number.isInteger);
    const left = 12 + Math.max(...marks.map((m) => breadth(number(m))));
    const bottom = height - 24;
    const top = 8;
    const picture = drawing(width, height);
    const hatch = hatching();
    picture.append(hatch.definition);
    const y = (v) => bottom - (v / most) * (bottom - top);
    for (const m of marks) picture.append(mark("line", { x1: left, x2: width, y1: y(m), y2: y(m), class: "grid-line" }), label(left - 8, y(m) + 4.5, number(m), "end", "quiet-text"));
    const step = (width - left) / points.length;
    const bar = Math.max(1, Math.min(40, step * 0.7));
    const every = Math.ceil((10 + Math.max(...points.map((point) => breadth(point.name)))) / step);
    points.forEach((point, i) => {
      const middle = left + (i + 0.5) * step;
      let sum = 0;
      const group = mark("g", {}, hint(point.hint));
      point.parts.forEach((part, s) => {
        if (part > 0) group.append(filled(middle - bar / 2, y(sum + part), bar, Math.max(1, y(sum) - y(sum + part) - (s > 0 ? 1 : 0)), s, hatch));
        sum += part;
      });
      picture.append(group);
      if (i % every === 0) {
        const half = breadth(point.name) / 2;
        picture.append(label(Math.max(half, Math.min(width - half, middle)), bottom + 17, point.name, "middle", "quiet-text"));
      }
    });
    return picture;
  };
}
