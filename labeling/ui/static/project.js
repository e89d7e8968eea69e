// One project: its sections, of which the address names the one in view.

import { project } from "./admin-api.js";
import { at, attempt, pathPart } from "./admin-parts.js";
import { dataSection } from "./admin-data.js";
import { flagsSection } from "./admin-flags.js";
import { guidelinesSection } from "./admin-guidelines.js";
import { progressSection } from "./admin-progress.js";
import { settingsSection } from "./admin-settings.js";
import { openTask } from "./admin-task.js";
import { tasksSection } from "./admin-tasks.js";

const id = pathPart(3);
const sections = { progress: progressSection, settings: settingsSection, guidelines: guidelinesSection, tasks: tasksSection, data: dataSection, flags: flagsSection };
const begun = new Set();

/** The project as the server last told it; sections change it and say so. */
const state = {
  id,
  project: null,
  named(value) {
    state.project = value;
    at("name").textContent = value.name;
    document.title = document.title.replace(/^.* · /, `${value.name} · `);
  },
};

/** Shows the section that the address names, "#tasks" or "#tasks/12" with task 12 open. */
function show() {
  const [wanted, item] = location.hash.slice(1).split("/");
  const name = Object.hasOwn(sections, wanted) ? wanted : "progress";
  for (const link of at("sections").children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  for (const other of Object.keys(sections)) at(`section-${other}`).hidden = other !== name;
  if (!begun.has(name)) {
    begun.add(name);
    sections[name](state);
  }
  if (name === "tasks" && /^\d+$/.test(item ?? "")) openTask(state, item);
}

at("figures-link").href = `/admin/projects/${id}/figures`;
await attempt(at("error"), async () => {
  state.named(await project(id));
  at("content").hidden = false;
  addEventListener("hashchange", show);
  show();
});
