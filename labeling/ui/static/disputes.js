// The tasks of a project that labelers disagree on, most disputed first.

import { disputes, reviewProjects } from "./admin-api.js";
import { at, attempt, bar, chip, pathPart, percent } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const project = pathPart(2);

attempt(at("error"), async () => {
  const [{ tasks }, { projects }] = await Promise.all([disputes(project), reviewProjects()]);
  at("name").textContent = projects.find(({ id }) => String(id) === project)?.name ?? t("disputes.title");
  at("tasks").replaceChildren(...tasks.map(card));
  at("none").hidden = tasks.length > 0;
  at("content").hidden = false;
});

function card(task) {
  const disputed = t("disputes.disagreement", { share: percent(task.disagreement, 0) });
  return element("li", { class: "panel dispute" },
    element("a", { class: "dispute-link", href: `/review/${project}/${task.id}` }, task.prompt || t("label.blank")),
    element("p", { class: "fine" }, `${disputed} · ${t("disputes.rankings", { n: task.rankings })}`, " ", task.decided ? chip(t("disputes.decided"), "good") : ""),
    bar(task.disagreement, 1, disputed));
}
