// A project's tasks: a list by kind and state, and the making of calibration tasks.

import { calibrate, tasks } from "./admin-api.js";
import { at, attempt, chip, count, kindName, kinds, numeric, onSubmit, openDialog, table } from "./admin-parts.js";
import { announce, element } from "./dom.js";
import { t } from "./i18n.js";

const page = 50;
const filter = at("tasks-filter");
let listed = [];
let next = 0;
let asked = 0; // how often tasks have been asked for; only the latest answer is shown

export function tasksSection(state) {
  filter.elements.kind.append(...Object.keys(kinds).map((kind) => element("option", { value: kind }, kindName(kind))));
  const reload = () => attempt(at("tasks-error"), () => load(state, true));
  filter.addEventListener("change", reload);
  filter.addEventListener("submit", (event) => event.preventDefault());
  at("tasks-more").addEventListener("click", () => attempt(at("tasks-error"), () => load(state, false)));
  at("task").addEventListener("close", () => {
    if (location.hash.startsWith("#tasks/")) location.hash = "#tasks";
    if (at("task").returnValue === "changed") reload();
  });
  calibration(state, reload);
  reload();
}

async function load(state, anew) {
  const mine = ++asked;
  const answer = await tasks(state.id, { after: anew ? "" : next, limit: page, kind: filter.elements.kind.value, state: filter.elements.state.value });
  if (mine !== asked) return;
  listed = anew ? answer.tasks : listed.concat(answer.tasks);
  next = answer.next;
  table(at("tasks-table"), [t("tasks.task"), t("tasks.prompt"), t("tasks.kind"), t("tasks.rankings"), t("tasks.k"), t("tasks.priority"), t("tasks.assigned"), t("tasks.marks")], listed.map(row));
  at("tasks-table").closest(".scroll").hidden = listed.length === 0;
  at("tasks-none").hidden = listed.length > 0;
  at("tasks-more").hidden = next === 0;
}

function row(task) {
  const marks = element("span", { class: "tags" });
  if (task.withdrawn) marks.append(chip(t("tasks.withdrawn")));
  if (task.reference) marks.append(chip(t("task.reference"), "good"));
  if (task.leaks > 0) marks.append(chip(t("tasks.leaks", { n: task.leaks }), "bad"));
  const cells = [
    element("a", { class: "cell-link", href: `#tasks/${task.id}` }, String(task.id)),
    { text: task.prompt, class: "excerpt" },
    kindName(task.kind),
    numeric(task.overlap === 0 ? t("tasks.everybody", { n: task.done }) : t("parts.of", { n: task.done, total: task.overlap })),
    numeric(count(task.k)),
    numeric(count(task.priority)),
    task.assigned_to || "",
    marks,
  ];
  cells.key = task.id;
  return cells;
}

function calibration(state, reload) {
  const form = at("calibrate-form");
  at("calibrate-open").addEventListener("click", () => openDialog(at("calibrate")));
  onSubmit(form, async () => {
    const { tasks: made } = await calibrate(state.id, Number(form.elements.share.value) / 100, Math.trunc(Number(form.elements.seed.value)));
    at("calibrate").close();
    announce(t("calibrate.made", { n: made ?? 0 }));
    reload();
  });
}
