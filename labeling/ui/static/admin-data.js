// Files in and out of a project.

import { exportAddress, formats, importFile } from "./admin-api.js";
import { at, attempt, kindName, kinds, numbers, numeric, onSubmit } from "./admin-parts.js";
import { element } from "./dom.js";
import { listing, number, t } from "./i18n.js";

// What the catalogue calls the formats; others are called as the server describes them.
const names = {
  rankings: "format.own",
  "hh-rlhf": "format.hh",
  trl: "format.trl",
  "openai-comparisons": "format.summarize",
  "label-studio": "format.labelstudio",
  argilla: "format.argilla",
  oasst: "format.oasst",
  arena: "format.arena",
  "llm-comparator": "format.comparator",
  ai2: "format.instances",
  pandalm: "format.pandalm",
};

// What a format does not hold, in the server's words.
const losses = {
  ties: "loses.ties",
  "more than two completions": "loses.lists",
  "completions judged alone": "loses.alone",
  "conversations as messages": "loses.conversations",
  "completions of several turns": "loses.turns",
  "system prompts": "loses.system",
  models: "loses.models",
  "tokens and sampling": "loses.tokens",
  scores: "loses.scores",
  labels: "loses.labels",
  ratings: "loses.ratings",
  "notes on completions": "loses.notes",
  "ids of completions": "loses.ids",
  labelers: "loses.labelers",
  groups: "loses.groups",
  times: "loses.times",
  "active times": "loses.active",
  "wall times": "loses.wall",
  "orders shown": "loses.orders",
  comments: "loses.comments",
  flags: "loses.flags",
  confidences: "loses.confidences",
  "guideline versions": "loses.guidelines",
  "marks of extra rankings": "loses.extra",
  "choices of the best alone": "loses.choices",
  "other fields": "loses.fields",
};

export function dataSection({ id }) {
  const form = at("import-form");
  attempt(form.querySelector(".error"), async () => {
    const list = (await formats()).formats;
    const option = ({ name, about }) => element("option", { value: name }, Object.hasOwn(names, name) ? t(names[name]) : about);
    const own = (a, b) => (b.name === "rankings") - (a.name === "rankings"); // ours first
    at("import-format").replaceChildren(element("option", { value: "" }, t("import.auto")), ...list.filter((format) => format.reads).map(option));
    at("export-format").replaceChildren(...list.filter((format) => format.writes).toSorted(own).map(option));
    const said = () => {
      const loses = list.find((format) => format.name === at("export-format").value)?.loses ?? [];
      at("export-loses").textContent = loses.length === 0 ? t("export.whole") : t("export.loses", { list: listing(loses.map((what) => (Object.hasOwn(losses, what) ? t(losses[what]) : what))) });
    };
    at("export-format").addEventListener("change", said);
    said();
  });
  at("import-kind").replaceChildren(...Object.keys(kinds).filter((kind) => kind !== "repeat").map((kind) => element("option", { value: kind }, kindName(kind))));
  at("import-file").addEventListener("change", () => (at("import-name").textContent = at("import-file").files[0]?.name ?? t("import.nofile")));
  at("import-what").addEventListener("change", () => {
    at("import-kind").disabled = at("import-what").value === "rankings";
    form.elements.again.disabled = !at("import-kind").disabled;
  });
  onSubmit(form, async () => {
    const file = form.elements.file.files[0];
    if (!file) throw Object.assign(new Error(t("import.nofile")), { status: 422, field: "file" });
    at("import-result").replaceChildren(element("p", {}, t("import.sending")));
    try {
      const { format, what, kind, skip_bad: skip, again } = form.elements;
      show(await importFile(id, { format: format.value, what: what.value, kind: kind.disabled ? "" : kind.value, name: file.name.slice(-200), skip_bad: skip.checked, again: !again.disabled && again.checked }, file));
    } catch (failure) {
      at("import-result").replaceChildren();
      throw failure;
    }
  });
  at("export-form").action = exportAddress(id, {});
}

function show({ tasks, there, rankings, extra, skipped, reasons, lost }) {
  const said = [t("import.done", { tasks, rankings })];
  if (there > 0) said.push(t("import.there", { n: there }));
  if (extra > 0) said.push(t("import.extra", { n: extra }));
  if (skipped > 0) said.push(t("import.skipped", { n: skipped }));
  at("import-result").replaceChildren(element("p", { class: "saved" }, said.join(" ")), ...(reasons ?? []).map((reason) => element("p", { class: "fine" }, reason)));
  if (lost?.length) at("import-result").append(element("p", {}, t("import.lost")), numbers([t("import.lost.what"), t("import.lost.count")], lost.map(({ what, count }) => [what, numeric(number(count))])));
}
