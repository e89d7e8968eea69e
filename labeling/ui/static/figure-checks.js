// Checks: whether place or length matters, the labelers against the researcher, and the answers about each response.

import { chart, forest } from "./charts.js";
import { axisPercent, count, fixed, numbers, numeric, percent } from "./admin-parts.js";
import { card, range, row, valueOf } from "./figure-reliability.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

export function biases(f) {
  const cards = element("div", { class: "measures" },
    card(t("figures.firstwins"), t("figures.firstwins.meaning"), f.position.first_wins, percent, 0, 1, 0.5),
    card(t("figures.longerwins"), t("figures.longerwins.meaning"), f.length.longer_wins, percent, 0, 1, 0.5),
    card(t("figures.lengthtau"), t("figures.lengthtau.meaning"), f.length.correlation, fixed, -1, 1, 0));
  if (f.position.by_place.length === 0) return [cards];
  const places = f.position.by_place.map(({ place, wins }) => ({ name: t("figures.place", { n: place }), wins }));
  return [cards, chart({
    title: t("figures.byplace"),
    note: t("figures.byplace.meaning"),
    draw: forest({ rows: places.map(({ name, wins }) => row(name, wins)), format: axisPercent, line: 0.5, lineName: t("figures.noeffect") }),
    table: numbers([t("figures.shown"), t("figures.won"), t("figures.ci"), t("figures.n")], places.map(({ name, wins }) => [name, numeric(valueOf(wins)), numeric(range(wins)), numeric(count(wins?.n))])),
  })];
}

export function calibration({ calibration: c }) {
  if (!c?.tasks) return [];
  const all = { name: t("figures.all"), strict: c.strict, ties_half: c.ties_half, tau: c.tau };
  const people = [all, ...c.labelers];
  return [chart({
    title: t("figures.researcher"),
    note: t("figures.researcher.meaning", { n: c.tasks }),
    draw: forest({ rows: people.map((l) => row(l.name, l.ties_half)), format: axisPercent }),
    table: numbers([t("figures.labeler"), t("figures.half"), t("figures.ci"), t("figures.strict"), t("figures.tau")],
      people.map((l) => [l.name, numeric(valueOf(l.ties_half)), numeric(range(l.ties_half)), numeric(valueOf(l.strict)), numeric(valueOf(l.tau, fixed))])),
  })];
}

export function questions({ answers }) {
  const asked = answers.filter((answer) => answer.share);
  const overall = answers.filter((answer) => answer.mean);
  const out = [];
  if (overall.length > 0) {
    out.push(element("div", { class: "measures" }, ...overall.flatMap((answer) => [
      card(t("figures.overall"), t("figures.overall.meaning"), answer.mean, fixed, 1, 7, 4),
      card(t("figures.overall.alpha"), t("figures.alpha.meaning"), answer.alpha, fixed, -1, 1, 0)])));
  }
  if (asked.length > 0) {
    out.push(chart({
      title: t("figures.yes"),
      note: t("figures.yes.meaning"),
      draw: forest({ rows: asked.map((answer) => row(answer.key, answer.share)), format: axisPercent, from: 0 }),
      table: numbers([t("settings.question.key"), t("figures.yes.short"), t("figures.ci"), t("figures.alpha.nominal"), t("figures.ci")],
        asked.map((answer) => [answer.key, numeric(valueOf(answer.share)), numeric(range(answer.share)), numeric(valueOf(answer.alpha, fixed)), numeric(range(answer.alpha, fixed))])),
    }));
  }
  return out;
}
