// How far a project has come, as it happens.

import { listen, overview } from "./admin-api.js";
import { at, attempt, bar, count } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

export function progressSection({ id }) {
  attempt(at("error"), async () => show(await overview(id)));
  listen(id, show, (up) => {
    at("live").textContent = up ? t("progress.live") : t("progress.stale");
    at("live").classList.toggle("up", up);
  }, () => attempt(at("error"), () => overview(id))); // says why, or leads to the sign-in
}

function show(o) {
  const of = t("parts.of", { n: o.rankings, total: o.needed });
  at("totals").replaceChildren(
    total(t("progress.rankings"), of, bar(o.rankings, o.needed, t("projects.rankings", { of }))),
    total(t("progress.tasks"), count(o.tasks)),
    total(t("progress.leases"), count(o.live_leases)),
    total(t("progress.people"), count(o.people_today)),
    total(t("progress.extra"), count(o.extra)),
    total(t("progress.skips"), count(o.skips)),
  );
}

function total(name, value, ...more) {
  return element("div", { class: "total" }, element("h3", { class: "eyebrow" }, name), element("p", { class: "value" }, value), ...more);
}
