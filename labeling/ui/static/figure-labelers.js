// The labelers: each against the others, by pairs, and what is unusual about their work.

import { chart, forest, heatMap } from "./charts.js";
import { axisPercent, count, duration, fixed, known, numbers, numeric, percent } from "./admin-parts.js";
import { range, row, valueOf } from "./figure-reliability.js";
import { element } from "./dom.js";
import { number, t } from "./i18n.js";

export function labelers(f) {
  if (f.labelers.length === 0) return [element("p", { class: "none" }, t("figures.nobody"))];
  const against = chart({
    title: t("figures.others"),
    note: t("figures.others.meaning"),
    draw: forest({ rows: f.labelers.map((l) => row(l.name, l.agreement)), format: axisPercent, line: f.agreement.ties_half?.value, lineName: t("figures.everybody", { value: valueOf(f.agreement.ties_half) }) }),
    table: numbers([t("figures.labeler"), t("figures.agreement"), t("figures.ci"), t("figures.n")], f.labelers.map((l) => [l.name, numeric(valueOf(l.agreement)), numeric(range(l.agreement)), numeric(count(l.agreement?.n))])),
  });
  const repeated = f.labelers.some((l) => l.repeats || l.gold) && chart({
    title: t("figures.repeats"),
    note: t("figures.repeats.meaning"),
    draw: forest({ rows: f.labelers.flatMap((l) => [l.repeats && row(t("figures.repeats.of", { name: l.name }), l.repeats), l.gold && row(t("figures.gold.of", { name: l.name }), l.gold)].filter(Boolean)), format: axisPercent, to: 1 }),
    table: numbers([t("figures.labeler"), t("figures.repeats.short"), t("figures.ci"), t("figures.gold.short"), t("figures.ci")], f.labelers.map((l) => [l.name, numeric(valueOf(l.repeats)), numeric(range(l.repeats)), numeric(valueOf(l.gold)), numeric(range(l.gold))])),
  });
  return [against, everything(f), repeated];
}

function everything(f) {
  const heads = [t("figures.labeler"), t("figures.rankings"), t("figures.median"), t("figures.strict"), t("figures.tau"), t("figures.first"), t("figures.longer"), t("figures.ties"), t("figures.skips"), t("figures.flags"), t("figures.anomalies")];
  const table = numbers(heads, f.labelers.map((l) => [
    l.name, numeric(count(l.rankings)), numeric(duration(l.median_active_ms)), numeric(valueOf(l.strict)), numeric(valueOf(l.tau, fixed)), numeric(valueOf(l.first_share)), numeric(valueOf(l.longer_share)),
    numeric(l.pairs > 0 ? percent(l.ties / l.pairs) : "–"), numeric(count(l.skips)), numeric(count(l.flags)), numeric(count(l.anomalies.length)),
  ]));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("figures.labelers") }, table);
}

const anomalyNames = {
  too_fast: "anomaly.too_fast",
  one_sided: "anomaly.one_sided",
  unchanged: "anomaly.unchanged",
  all_tied: "anomaly.all_tied",
  at_chance: "anomaly.at_chance",
  inconsistent: "anomaly.inconsistent",
  gold_low: "anomaly.gold_low",
  many_skips: "anomaly.many_skips",
};

const anomalyName = (kind) => (Object.hasOwn(anomalyNames, kind) ? t(anomalyNames[kind]) : kind);

/** What to look at, and always what was looked for. */
export function anomalies(f) {
  const found = f.labelers.flatMap((l) => l.anomalies.map((anomaly) => ({ ...anomaly, name: l.name })));
  const list = found.length === 0 ? element("p", { class: "none" }, t("anomaly.none"))
    : element("ul", { class: "anomalies" }, ...found.map(({ name, kind, value, limit, n }) => element("li", {}, element("strong", {}, name), " ", t("anomaly.says", { what: anomalyName(kind), value: percent(value), limit: percent(limit), n: number(n) }))));
  const looked = numbers([t("anomaly.what"), t("anomaly.limit"), t("anomaly.least")], (f.anomaly_limits ?? []).map(({ kind, limit, least }) => [anomalyName(kind), numeric(percent(limit)), numeric(count(least))]));
  return element("div", {}, element("p", { class: "fine" }, t("anomaly.meaning")), list, element("details", { class: "looked" }, element("summary", {}, t("anomaly.looked")), looked));
}

const measures = { ties_half: "figures.half", strict: "figures.strict", tau: "figures.tau", kappa: "figures.kappa" };
let measure = "ties_half";

/** The heat map of pairs of labelers, by a measure to choose. */
export function heat(f) {
  if (f.pairs_of_labelers.length === 0) return element("p", { class: "none" }, t("figures.pairs.none"));
  const select = element("select", { id: "heat-measure" }, ...Object.entries(measures).map(([name, text]) => element("option", { value: name }, t(text))));
  select.value = measure;
  const place = element("div", {}, heatChart(f));
  select.addEventListener("change", () => {
    measure = select.value;
    place.replaceChildren(heatChart(f));
  });
  return element("div", {}, element("div", { class: "field short" }, element("label", { for: "heat-measure" }, t("figures.measure")), select), place);
}

function heatChart(f) {
  const share = measure === "ties_half" || measure === "strict";
  const format = share ? (v) => percent(v, 0) : fixed;
  const kappas = new Map(f.cohen.map((pair) => [key(pair.a, pair.b), pair]));
  const pairs = f.pairs_of_labelers.map((pair) => ({ ...pair, kappa: kappas.get(key(pair.a, pair.b))?.value ?? null }));
  const found = new Map(pairs.map((pair) => [key(pair.a, pair.b), pair]));
  const names = f.labelers.map((l) => l.name).filter((name) => pairs.some((pair) => pair.a === name || pair.b === name));
  const values = pairs.map((pair) => pair[measure]).filter(known);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const at = (i, j) => {
    const pair = found.get(key(names[i], names[j]));
    const value = pair?.[measure];
    return known(value) ? { value, text: format(value), hint: t("figures.pair", { a: names[i], b: names[j], value: format(value), n: pair.pairs }) } : null;
  };
  return chart({
    title: t("figures.heat", { measure: t(measures[measure]) }),
    note: t("figures.heat.meaning"),
    draw: heatMap({ names, at, low: high > low ? low : low - 1, high: high > low ? high : low }),
    table: numbers([t("figures.labelers"), t("figures.half"), t("figures.strict"), t("figures.tau"), t("figures.kappa"), t("figures.compared")],
      pairs.map((pair) => [t("figures.pair.names", { a: pair.a, b: pair.b }), numeric(percent(pair.ties_half)), numeric(percent(pair.strict)), numeric(fixed(pair.tau)), numeric(fixed(pair.kappa)), numeric(count(pair.pairs))])),
  });
}

const key = (a, b) => (a < b ? `${a}\n${b}` : `${b}\n${a}`);
