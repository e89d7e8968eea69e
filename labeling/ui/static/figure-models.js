// The models that the responses are from: their strengths, and the order that the rankings agree on.

import { chart, forest } from "./charts.js";
import { count, known, numbers, numeric } from "./admin-parts.js";
import { element } from "./dom.js";
import { number, t } from "./i18n.js";

const notes = { none: "models.none", many: "models.many", prior: "models.prior" };
const whole = (v) => number(Math.round(v));

export function models(f) {
  const note = f.models_note && Object.hasOwn(notes, f.models_note) ? t(notes[f.models_note]) : f.models_note;
  if (f.models.length === 0) return [element("p", { class: "none" }, note || t(notes.none))];
  const ends = (m) => (known(m.elo_low) ? t("figures.range", { low: whole(m.elo_low), high: whole(m.elo_high) }) : "–");
  const rows = f.models.map((m) => ({ name: m.model, value: m.elo, low: m.elo_low, high: m.elo_high, text: whole(m.elo), hint: `${m.model}: ${whole(m.elo)}, ${ends(m)}` }));
  const plot = chart({
    title: t("models.elo"),
    note: [t("models.meaning", { rounds: f.rounds }), note].filter(Boolean).join(" "),
    draw: forest({ rows, format: whole, line: 1000, lineName: t("models.average") }),
    table: numbers([t("models.model"), t("models.elo.short"), t("figures.ci"), t("models.wins"), t("models.losses"), t("figures.ties")],
      f.models.map((m) => [m.model, numeric(whole(m.elo)), numeric(ends(m)), numeric(count(m.wins)), numeric(count(m.losses)), numeric(count(m.ties))])),
  });
  return [plot, consensus(f.consensus)];
}

function consensus({ order, models: names, margins }) {
  if (!order?.length) return "";
  const list = element("ol", { class: "order" }, ...order.map((tied) => element("li", {}, ...tied.flatMap((name, i) => [i > 0 ? " = " : "", element("strong", {}, name)]))));
  const box = element("div", { class: "consensus" }, element("h3", {}, t("models.consensus")), element("p", { class: "fine" }, t("models.consensus.meaning")), list);
  if (names.length <= 12) {
    const signed = (v) => (v > 0 ? `+${number(v)}` : number(v).replace("-", "−"));
    const table = numbers([t("models.margins"), ...names], names.map((name, i) => [name, ...names.map((_, j) => numeric(i === j ? "" : signed(margins[i][j])))]));
    box.append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("models.margins") }, table));
  }
  return box;
}
