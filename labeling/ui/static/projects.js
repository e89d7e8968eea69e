// The projects: how far each has come, and a new one.

import { createProject, projects } from "./admin-api.js";
import { at, attempt, bar, chip, onSubmit, openDialog } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

async function load() {
  const list = (await projects()).projects;
  at("projects").replaceChildren(...list.map(card));
  at("content").hidden = false;
}

function card(project) {
  const of = t("parts.of", { n: project.rankings, total: project.needed });
  return element("li", { class: "panel project" },
    element("div", { class: "project-head" }, element("h2", {}, element("a", { href: `/admin/projects/${project.id}` }, project.name)), project.open ? chip(t("project.open"), "good") : chip(t("project.closed"))),
    project.description ? element("p", { class: "fine" }, project.description) : "",
    element("p", { class: "project-count" }, t("projects.rankings", { of })),
    bar(project.rankings, project.needed, t("projects.rankings", { of })),
    element("p", { class: "fine" }, t("projects.tasks", { done: project.done_tasks, tasks: project.tasks })),
    element("p", { class: "links-row" }, element("a", { class: "button small", href: `/admin/projects/${project.id}`, "aria-label": t("projects.manage.name", { name: project.name }) }, t("projects.manage")),
      element("a", { class: "button small", href: `/admin/projects/${project.id}/figures`, "aria-label": t("projects.figures.name", { name: project.name }) }, t("figures.title"))));
}

at("new").addEventListener("click", () => openDialog(at("create")));
const form = at("create-form");
onSubmit(form, async () => {
  const { id } = await createProject({ name: form.elements.name.value.trim(), description: form.elements.description.value.trim() });
  location.assign(`/admin/projects/${id}#settings`);
});
attempt(at("error"), load);
