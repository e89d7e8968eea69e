// What a project's rankings say, with intervals, and anew whenever rankings come in.

import { figures, listen, overview, project } from "./admin-api.js";
import { at, attempt, count, pathPart } from "./admin-parts.js";
import { biases, calibration, questions } from "./figure-checks.js";
import { anomalies, heat, labelers } from "./figure-labelers.js";
import { models } from "./figure-models.js";
import { published, reliability } from "./figure-reliability.js";
import { skipReasons, times, work } from "./figure-work.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const id = pathPart(3);
const calm = 15_000; // ms between two computations
let computed = null; // the number of rankings and skips that the figures shown are of
let due = null;
let last = 0;

async function load() {
  last = Date.now();
  const f = await figures(id);
  const focused = document.activeElement?.id;
  at("content").replaceChildren(
    counts(f),
    group(t("figures.reliability"), reliability(f), published(f)),
    group(t("figures.pairs"), heat(f)),
    group(t("figures.labelers"), ...labelers(f)),
    group(t("figures.anomalies"), anomalies(f)),
    group(t("figures.models"), ...models(f)),
    group(t("figures.work"), work(f), times(f), skipReasons(f)),
    group(t("figures.biases"), ...biases(f)),
    group(t("figures.calibration"), ...calibration(f)),
    group(t("figures.questions"), ...questions(f)),
  );
  at("content").hidden = false;
  if (focused) at(focused)?.focus({ preventScroll: true });
}

function counts(f) {
  const facts = [["figures.rankings", f.rankings], ["figures.prompts", f.prompts], ["figures.shared", f.tasks_shared], ["figures.extra", f.extra], ["figures.imported", f.imported],
    ["figures.anomalies", f.labelers.reduce((sum, l) => sum + l.anomalies.length, 0)]];
  return element("section", { class: "totals", "aria-label": t("figures.counts") },
    ...facts.map(([name, n]) => element("div", { class: "total" }, element("h2", { class: "eyebrow" }, t(name)), element("p", { class: "value" }, count(n)))));
}

function group(title, ...parts) {
  const shown = parts.filter(Boolean);
  return shown.length === 0 ? "" : element("section", { class: "panel group" }, element("h2", {}, title), ...shown);
}

/** New rankings are computed with at once, but not oftener than every few seconds. */
function news({ rankings, skips }) {
  const now = `${rankings}/${skips}`;
  if (computed === null) computed = now;
  if (computed === now || due) return;
  due = setTimeout(() => {
    due = null;
    computed = now;
    attempt(at("error"), load);
  }, Math.max(0, last + calm - Date.now()));
}

at("project-link").href = `/admin/projects/${id}`;
await attempt(at("error"), async () => {
  const { name } = await project(id);
  at("project-link").textContent = name;
  document.title = `${name} · ${document.title}`;
  await load();
  listen(id, news, (up) => {
    at("live").textContent = up ? t("progress.live") : t("progress.stale");
    at("live").classList.toggle("up", up);
  }, () => attempt(at("error"), () => overview(id)));
});
