// The work: how much of it when, and how long it takes.

import { chart, forest, legend, timeline } from "./charts.js";
import { count, duration, known, none, numbers, numeric, reasonName } from "./admin-parts.js";
import { element } from "./dom.js";
import { language, number, t } from "./i18n.js";

const locale = language === "en" ? "en-GB" : language;
const dayNames = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const hourNames = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });

export function work({ throughput }) {
  if (throughput.length === 0) return element("p", { class: "none" }, t("figures.nowork"));
  const byHour = Boolean(throughput[0].hour);
  const whole = (period) => (byHour ? hourNames : dayNames).format(new Date(period.hour || period.day));
  const points = throughput.map((period) => ({
    name: (byHour ? clock : dayNames).format(new Date(period.hour || period.day)),
    parts: [period.rankings, period.skips],
    hint: t("figures.period", { at: whole(period), rankings: period.rankings, skips: period.skips, time: duration(period.active_ms) }),
  }));
  return chart({
    title: byHour ? t("figures.byhour") : t("figures.byday"),
    note: t("figures.utc"),
    legend: legend([t("figures.rankings"), t("figures.skips")]),
    draw: timeline({ points }),
    table: numbers([byHour ? t("figures.hour") : t("figures.day"), t("figures.rankings"), t("figures.skips"), t("figures.active")],
      throughput.map((period) => [whole(period), numeric(count(period.rankings)), numeric(count(period.skips)), numeric(duration(period.active_ms))])),
  });
}

const minute = 60_000;
const steps = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1000, n * minute, n * 60 * minute]).sort((a, b) => a - b);
const minutes = (v) => `${Math.floor(v / minute)}:${String(Math.round((v % minute) / 1000)).padStart(2, "0")}`;

/** Quartiles of the time of a ranking, as a whisker from the first to the third with the median as its mark. */
export function times({ time }) {
  if (!time?.n) return "";
  const kinds = [[t("figures.active"), time.active_ms], [t("figures.wall"), time.wall_ms]].filter(([, q]) => known(q.median) && q.p75 > 0);
  if (kinds.length === 0) return "";
  const rows = kinds.map(([name, q]) => ({ name, value: q.median, low: q.p25, high: q.p75, text: duration(q.median) }));
  const byK = time.by_k.map(({ k, n, median_active_ms: median }) => [t("figures.ofk", { k }), none, numeric(duration(median)), none, numeric(number(n))].map((v) => (v === none ? numeric(v) : v)));
  return chart({
    title: t("figures.time"),
    note: t("figures.time.meaning", { total: duration(time.total_active_ms) }),
    draw: forest({ rows, format: minutes, from: 0, steps }),
    table: numbers([t("figures.time"), t("figures.quarter"), t("figures.median"), t("figures.threequarters"), t("figures.n")],
      [...kinds.map(([name, q]) => [name, numeric(duration(q.p25)), numeric(duration(q.median)), numeric(duration(q.p75)), numeric(number(time.n))]), ...byK]),
  });
}

export function skipReasons({ skip_reasons: reasons }) {
  const all = Object.entries(reasons ?? {}).sort(([, a], [, b]) => b - a);
  if (all.length === 0) return "";
  return element("div", { class: "short-table" }, element("h3", {}, t("figures.reasons")), numbers([t("flags.reason"), t("figures.skips")], all.map(([reason, n]) => [reasonName(reason), numeric(number(n))])));
}
