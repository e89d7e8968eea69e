// The admin page: how far the labeling has come and how well the labelers agree.

import { adminAgreement, adminProgress, session, signInAddress, signOut } from "./api.js";
import { count, element } from "./dom.js";

const every = 10_000; // ms between refreshes while the page is visible

const at = (id) => document.getElementById(id);
let refreshing = false;

async function start() {
  try {
    const { labeler } = await session();
    at("who").textContent = labeler.name;
  } catch (failure) {
    failed(failure);
    if (failure.status === 401) return;
  }
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
    at("updated").textContent = `Updated ${new Date().toLocaleTimeString()}`;
  } catch (failure) {
    failed(failure);
  } finally {
    refreshing = false;
  }
}

function failed(failure) {
  if (failure.status === 401) location.replace(signInAddress("expired"));
  at("error").textContent = failure.status === 403 ? "Only an admin may see this page." : failure.message;
  at("updated").textContent = at("content").hidden ? "" : "Not up to date";
}

function showProgress({ tasks, overlap, rankings, rankings_needed: needed, labelers }) {
  at("totals").replaceChildren(
    total("Rankings", `${number(rankings)} of ${number(needed)}`, bar(rankings, needed, "Rankings made")),
    total("Tasks", number(tasks)),
    total("Rankings per task", number(overlap)),
    total("Today", number((labelers ?? []).reduce((sum, labeler) => sum + labeler.today, 0))),
  );
  const most = Math.max(1, ...(labelers ?? []).map((labeler) => labeler.rankings));
  const rows = (labelers ?? []).map((labeler) => [
    element("th", { scope: "row" }, labeler.name),
    element("td", { class: "wide" }, bar(labeler.rankings, most, `Rankings by ${labeler.name}`)),
    cell(number(labeler.rankings)),
    cell(number(labeler.today)),
    cell(duration(labeler.median_active_ms)),
  ]);
  table("labelers", ["Labeler", "", "Rankings", "Today", "Median time"], rows);
}

function showAgreement({ strict, ties_half: half, kendall_tau_b: tau, pairs_of_labelers: pairs }) {
  at("measures").replaceChildren(
    measure("Strict", "the very same order, a tie only with a tie", strict),
    measure("Ties as half", "a tie against an order counts as half", half),
    element("div", { class: "measure" }, element("h3", {}, "Kendall’s τ-b"), element("p", { class: "value" }, fixed(tau)), element("p", { class: "fine" }, "rank correlation, −1 to 1")),
  );
  const rows = (pairs ?? []).map((pair) => [
    element("th", { scope: "row" }, `${pair.a} and ${pair.b}`),
    element("td", { class: "wide" }, bar(pair.ties_half ?? 0, 1, `Agreement of ${pair.a} and ${pair.b}, ties as half`)),
    cell(percent(pair.strict)),
    cell(percent(pair.ties_half)),
    cell(number(pair.pairs)),
  ]);
  table("pairs", ["Labelers", "", "Strict", "Ties as half", "Pairs compared"], rows);
}

function total(name, value, ...more) {
  return element("div", { class: "total" }, element("h2", { class: "eyebrow" }, name), element("p", { class: "value" }, value), ...more);
}

function measure(name, meaning, value) {
  const box = element("div", { class: "measure" }, element("h3", {}, name), element("p", { class: "value" }, percent(value?.value)));
  if (known(value?.low) && known(value?.high)) box.append(interval(value));
  box.append(element("p", { class: "fine" }, known(value?.value) ? `${meaning}; ${count(value.pairs, "pair")}` : `${meaning}; nothing to compare yet`));
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
    element("div", { class: "scale", role: "img", "aria-label": `interval from ${percent(low)} to ${percent(high)}` }, element("span", { class: "half" }), whisker, dot),
    element("p", { class: "ends" }, `${percent(low)} to ${percent(high)}`));
}

function bar(value, of, label) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${of > 0 ? Math.min(100, (100 * value) / of) : 0}%`;
  return element("span", { class: "track", role: "img", "aria-label": `${label}: ${of === 1 ? percent(value) : `${value} of ${of}`}` }, fill);
}

function table(id, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => (text === "" ? element("td", { class: "wide" }) : element("th", { scope: "col" }, text))));
  at(id).replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells))));
  at(id).closest(".scroll").hidden = rows.length === 0;
  at(`${id}-none`).hidden = rows.length > 0;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);
const cell = (text) => element("td", { class: "number" }, text);
const number = (value) => (known(value) ? value.toLocaleString("en") : "–");
const percent = (value) => (known(value) ? `${(100 * value).toFixed(1)} %` : "–");
const fixed = (value) => (known(value) ? value.toFixed(2).replace("-", "−") : "–");

function duration(milliseconds) {
  if (!known(milliseconds) || milliseconds <= 0) return "–";
  const seconds = milliseconds / 1000;
  return seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

at("refresh").addEventListener("click", refresh);
document.addEventListener("visibilitychange", () => !document.hidden && refresh());
at("sign-out").addEventListener("click", () => signOut().then(() => location.assign("/?reason=out"), failed));
start();
