// One task in a dialog: prompt, completions with their models, what an admin may change, and the researcher's own answer.

import { changeTask, people, task as getTask } from "./admin-api.js";
import { at, attempt, chip, kindName, kinds, moment, onSubmit, openDialog, reading } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const dialog = at("task");
const form = at("task-form");
let current = null;
let labelers = null;

onSubmit(form, async () => {
  await changeTask(current.id, change());
  dialog.close("changed");
});

export async function openTask(state, id) {
  await attempt(at("tasks-error"), async () => {
    [current, labelers] = await Promise.all([getTask(id), labelers ?? people().then((answer) => answer.people)]);
    show(current);
    if (!dialog.open) {
      dialog.returnValue = "";
      openDialog(dialog);
    }
  });
}

function show(task) {
  at("task-title").textContent = t("task.number", { id: String(task.id) });
  at("task-text").replaceChildren(
    element("section", {}, element("h3", { class: "eyebrow" }, t("label.prompt")), reading(task.prompt)),
    ...task.completions.map((completion, i) => element("section", { class: "completion" },
      element("h3", { class: "eyebrow" }, t("task.completion", { n: i + 1 }), " ", chip(completion.model || t("task.nomodel"))), marked(completion.text, completion.leaks ?? []))));
  const movable = Object.keys(kinds).filter((kind) => (kind === "repeat") === (task.kind === "repeat")); // repeats are made by the server alone
  form.elements.kind.replaceChildren(...movable.map((kind) => element("option", { value: kind }, kindName(kind))));
  form.elements.kind.value = task.kind;
  form.elements.assigned_to.replaceChildren(element("option", { value: "" }, t("task.anyone")), ...labelers.filter((person) => !person.forgotten).map((person) => element("option", { value: person.name }, person.name)));
  form.elements.assigned_to.value = task.assigned_to ?? "";
  form.elements.overlap.value = task.overlap;
  form.elements.priority.value = task.priority;
  form.elements.withdrawn.checked = task.withdrawn;
  form.elements.note.value = task.reference?.note ?? "";
  at("task-author").textContent = task.reference ? t("task.reference.by", { author: task.reference.author || t("parts.commandline"), at: moment(task.reference.created_at) }) : "";
  at("task-ranks").replaceChildren(...task.completions.map((completion, i) => rankField(task, completion, i)));
  form.querySelector(".error").textContent = "";
}

function rankField({ reference, completions }, completion, i) {
  const select = element("select", { name: "ranks" }, element("option", { value: "" }, "–"), ...completions.map((_, place) => element("option", {}, String(place + 1))));
  select.value = reference ? String(reference.ranks[i]) : "";
  return element("label", { class: "field" }, element("span", {}, t("task.rank", { n: i + 1 })), select);
}

/** What has changed. A reference is given by a rank for each completion, and taken away by none. */
function change() {
  const out = {};
  const { kind, assigned_to: assigned, overlap, priority, withdrawn, note } = form.elements;
  if (kind.value !== current.kind) out.kind = kind.value;
  if (assigned.value !== (current.assigned_to ?? "")) out.assigned_to = assigned.value;
  if (Number(overlap.value) !== current.overlap) out.overlap = Math.trunc(Number(overlap.value));
  if (Number(priority.value) !== current.priority) out.priority = Math.trunc(Number(priority.value));
  if (withdrawn.checked !== current.withdrawn) out.withdrawn = withdrawn.checked;
  const ranks = [...at("task-ranks").querySelectorAll("select")].map((select) => Number(select.value));
  const given = ranks.filter((rank) => rank > 0).length;
  if (given > 0 && given < ranks.length) throw Object.assign(new Error(t("task.reference.part")), { status: 422, field: "ranks" });
  if (given === 0 && current.reference) out.reference = null;
  if (given > 0 && (String(ranks) !== String(current.reference?.ranks) || note.value !== current.reference.note)) out.reference = { ranks, note: note.value };
  return out;
}

/** A text with what names its author marked; from and to count UTF-16 units, as strings here do. */
function marked(text, leaks) {
  const out = element("p", { class: "plain" });
  let done = 0;
  for (const { from, to } of leaks.toSorted((a, b) => a.from - b.from)) {
    if (from < done) continue;
    out.append(text.slice(done, from), element("mark", { title: t("task.leak") }, text.slice(from, to)));
    done = to;
  }
  out.append(text.slice(done));
  return out;
}
