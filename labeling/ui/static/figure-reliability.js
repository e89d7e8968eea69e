// How well the labelers agree, in the measures that papers report, beside what papers have reported.

import { chart, forest } from "./charts.js";
import { axisPercent, fixed, known, numbers, numeric, percent } from "./admin-parts.js";
import { element } from "./dom.js";
import { number, t } from "./i18n.js";

/** Cards of an estimate each, on the scale of its measure. */
export function reliability(f) {
  const share = (name, meaning, value) => card(name, meaning, value, percent, 0, 1, 0.5);
  const coefficient = (name, meaning, value) => card(name, meaning, value, fixed, -1, 1, 0);
  return element("div", { class: "measures" },
    share(t("figures.strict"), t("figures.strict.meaning"), f.agreement.strict),
    share(t("figures.half"), t("figures.half.meaning"), f.agreement.ties_half),
    coefficient(t("figures.tau"), t("figures.tau.meaning"), f.tau),
    coefficient(t("figures.alpha.ordinal"), t("figures.alpha.meaning"), f.alpha.ordinal),
    coefficient(t("figures.alpha.interval"), t("figures.alpha.meaning"), f.alpha.interval),
    coefficient(t("figures.alpha.nominal"), t("figures.alpha.meaning"), f.alpha.nominal),
    coefficient(t("figures.fleiss"), t("figures.fleiss.meaning", { n: f.fleiss_raters }), f.fleiss),
    coefficient(t("figures.cohen"), t("figures.cohen.meaning"), f.cohen_mean),
  );
}

export function card(name, meaning, estimate, format, from, to, middle) {
  const box = element("div", { class: "measure" }, element("h3", {}, name), element("p", { class: "value" }, estimate ? format(estimate.value) : "–"));
  if (estimate && known(estimate.low)) box.append(interval(estimate, format, from, to, middle));
  if (estimate) box.append(element("p", { class: "fine" }, `n = ${number(estimate.n)}`));
  box.append(element("p", { class: "fine" }, estimate ? meaning : t("figures.undefined", { meaning })));
  return box;
}

/** A whisker from low to high with a dot at the value, on a scale with its middle marked. */
function interval({ value, low, high }, format, from, to, middle) {
  const place = (v) => `${(100 * (Math.min(to, Math.max(from, v)) - from)) / (to - from)}%`;
  const half = element("span", { class: "half" });
  const whisker = element("span", { class: "whisker" });
  const dot = element("span", { class: "dot" });
  half.style.left = place(middle);
  whisker.style.left = place(low);
  whisker.style.right = `calc(100% - ${place(high)})`;
  dot.style.left = place(value);
  const ends = t("figures.interval", { low: format(low), high: format(high) });
  return element("div", { class: "interval" }, element("div", { class: "scale", "aria-hidden": "true" }, half, whisker, dot), element("p", { class: "ends" }, ends));
}

/** "65.1 % – 70.2 %", for tables. */
export const range = (estimate, format = percent) => (estimate && known(estimate.low) ? t("figures.range", { low: format(estimate.low), high: format(estimate.high) }) : "–");

export const valueOf = (estimate, format = percent) => (estimate ? format(estimate.value) : "–");

/** A row of a forest plot. */
export function row(name, estimate, format = percent) {
  const text = valueOf(estimate, format);
  if (!estimate) return { name, value: null, text };
  return { name, value: estimate.value, low: estimate.low, high: estimate.high, text, hint: `${name}: ${text}, ${range(estimate, format)}, n = ${number(estimate.n)}` };
}

/** The raw agreement beside that of papers, whose whiskers are what they print after the plus-minus sign. */
export function published(f) {
  if (!f.agreement.strict || !f.published_agreement?.length) return "";
  const theirs = f.published_agreement.map(({ who, value, error }) => ({ name: who, value, low: value - error, high: value + error, text: percent(value) }));
  const rows = [row(t("figures.here.strict"), f.agreement.strict), row(t("figures.here.half"), f.agreement.ties_half), ...theirs];
  return chart({
    title: t("figures.published"),
    note: t("figures.published.meaning"),
    draw: forest({ rows, format: axisPercent }),
    table: numbers([t("figures.who"), t("figures.agreement"), t("figures.ci")], rows.map((r) => [r.name, numeric(r.text), numeric(range(r))])),
  });
}
