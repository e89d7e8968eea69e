// The admin page: how far the labeling has come and how well the labelers agree.

import { adminAgreement, adminProgress, signInAddress } from "./api.js";
import { element } from "./dom.js";
import { language, number as formatted, t } from "./i18n.js";

const every = 10_000; // ms between refreshes while the page is visible

const at = (id) => document.getElementById(id);
let refreshing = false;

async function start() {
  await refresh();
  setInterval(() => !document.hidden && refresh(), every);
}

async function refresh() {
  if (refreshing) return;
  refreshing = true;
  try {
    const [progress, agreement] = await Promise.all([adminProgress(), adminAgreement()]);
    showProgress(progress);
    showAgreement(agreement);
    at("content").hidden = false;
    at("error").textContent = "";
    at("updated").textContent = t("admin.updated", { time: new Date().toLocaleTimeString(language) });
  } catch (failure) {
    failed(failure);
  } finally {
    refreshing = false;
  }
}

function failed(failure) {
  if (failure.status === 401) location.replace(signInAddress("expired"));
  at("error").textContent = failure.message;
  at("updated").textContent = at("content").hidden ? "" : t("admin.stale");
}

function showProgress({ tasks, overlap, rankings, rankings_needed: needed, labelers }) {
  at("totals").replaceChildren(
    total(t("admin.rankings"), t("admin.of", { n: rankings, total: needed }), bar(rankings, needed, t("admin.rankings.made"))),
    total(t("admin.tasks"), number(tasks)),
    total(t("admin.overlap"), number(overlap)),
    total(t("admin.today"), number((labelers ?? []).reduce((sum, labeler) => sum + labeler.today, 0))),
  );
  const most = Math.max(1, ...(labelers ?? []).map((labeler) => labeler.rankings));
  const rows = (labelers ?? []).map((labeler) => [
    element("th", { scope: "row" }, labeler.name),
    element("td", { class: "wide" }, bar(labeler.rankings, most, t("admin.rankings.by", { name: labeler.name }))),
    cell(number(labeler.rankings)),
    cell(number(labeler.today)),
    cell(duration(labeler.median_active_ms)),
  ]);
  table("labelers", [t("admin.labeler"), "", t("admin.rankings"), t("admin.today"), t("admin.median")], rows);
}

function showAgreement({ strict, ties_half: half, kendall_tau_b: tau, pairs_of_labelers: pairs }) {
  at("measures").replaceChildren(
    measure(t("admin.strict"), t("admin.strict.meaning"), strict),
    measure(t("admin.half"), t("admin.half.meaning"), half),
    element("div", { class: "measure" }, element("h3", {}, t("admin.tau")), element("p", { class: "value" }, fixed(tau)), element("p", { class: "fine" }, t("admin.tau.meaning"))),
  );
  const rows = (pairs ?? []).map((pair) => [
    element("th", { scope: "row" }, t("admin.pairs.names", { a: pair.a, b: pair.b })),
    element("td", { class: "wide" }, bar(pair.ties_half ?? 0, 1, t("admin.agreement.of", { a: pair.a, b: pair.b }))),
    cell(percent(pair.strict)),
    cell(percent(pair.ties_half)),
    cell(number(pair.pairs)),
  ]);
  table("pairs", [t("admin.labelers"), "", t("admin.strict"), t("admin.half"), t("admin.pairs.compared")], rows);
}

function total(name, value, ...more) {
  return element("div", { class: "total" }, element("h2", { class: "eyebrow" }, name), element("p", { class: "value" }, value), ...more);
}

function measure(name, meaning, value) {
  const box = element("div", { class: "measure" }, element("h3", {}, name), element("p", { class: "value" }, percent(value?.value)));
  if (known(value?.low) && known(value?.high)) box.append(interval(value));
  box.append(element("p", { class: "fine" }, known(value?.value) ? t("admin.measure", { meaning, n: value.pairs }) : t("admin.measure.none", { meaning })));
  return box;
}

/** A whisker from low to high with a dot at the value, on a scale from 0 to 100 %. */
function interval({ value, low, high }) {
  const whisker = element("span", { class: "whisker" });
  const dot = element("span", { class: "dot" });
  whisker.style.left = `${100 * low}%`;
  whisker.style.width = `${100 * (high - low)}%`;
  dot.style.left = `${100 * value}%`;
  return element("div", { class: "interval" },
    element("div", { class: "scale", role: "img", "aria-label": t("admin.interval.label", { low: percent(low), high: percent(high) }) }, element("span", { class: "half" }), whisker, dot),
    element("p", { class: "ends" }, t("admin.interval", { low: percent(low), high: percent(high) })));
}

function bar(value, of, label) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${of > 0 ? Math.min(100, (100 * value) / of) : 0}%`;
  return element("span", { class: "track", role: "img", "aria-label": t("admin.bar", { what: label, value: of === 1 ? percent(value) : t("admin.of", { n: value, total: of }) }) }, fill);
}

function table(id, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => (text === "" ? element("td", { class: "wide" }) : element("th", { scope: "col" }, text))));
  at(id).replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells))));
  at(id).closest(".scroll").hidden = rows.length === 0;
  at(`${id}-none`).hidden = rows.length > 0;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);
const cell = (text) => element("td", { class: "number" }, text);
const number = (value) => (known(value) ? formatted(value) : "–");
const percent = (value) => (known(value) ? `${(100 * value).toFixed(1)} %` : "–");
const fixed = (value) => (known(value) ? value.toFixed(2).replace("-", "−") : "–");

function duration(milliseconds) {
  if (!known(milliseconds) || milliseconds <= 0) return "–";
  const seconds = milliseconds / 1000;
  return seconds < 60 ? t("admin.seconds", { n: seconds.toFixed(seconds < 10 ? 1 : 0) }) : t("admin.minutes", { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
}

at("refresh").addEventListener("click", refresh);
document.addEventListener("visibilitychange", () => !document.hidden && refresh());
start();
