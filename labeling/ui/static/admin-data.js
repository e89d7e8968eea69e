// Files in and out of a project.

import { exportAddress, importFile } from "./admin-api.js";
import { at, kindName, kinds, numbers, numeric, onSubmit } from "./admin-parts.js";
import { element } from "./dom.js";
import { number, t } from "./i18n.js";

/** The formats, by the name that the API knows them by. */
const formats = {
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

export function dataSection({ id }) {
  const options = () => Object.entries(formats).map(([name, text]) => element("option", { value: name }, t(text)));
  at("import-format").replaceChildren(...options());
  at("export-format").replaceChildren(...options());
  at("import-kind").replaceChildren(...Object.keys(kinds).filter((kind) => kind !== "repeat").map((kind) => element("option", { value: kind }, kindName(kind))));
  at("import-what").addEventListener("change", () => (at("import-kind").disabled = at("import-what").value === "rankings"));
  const form = at("import-form");
  onSubmit(form, async () => {
    const file = form.elements.file.files[0];
    if (!file) throw Object.assign(new Error(t("import.nofile")), { status: 422, field: "file" });
    at("import-result").replaceChildren(element("p", {}, t("import.sending")));
    try {
      const { format, what, kind, skip_bad: skip } = form.elements;
      show(await importFile(id, { format: format.value, what: what.value, kind: kind.disabled ? "" : kind.value, skip_bad: skip.checked }, file));
    } catch (failure) {
      at("import-result").replaceChildren();
      throw failure;
    }
  });
  at("export-form").action = exportAddress(id, {});
}

function show({ tasks, rankings, skipped, lost }) {
  const said = [t("import.done", { tasks, rankings })];
  if (skipped > 0) said.push(t("import.skipped", { n: skipped }));
  at("import-result").replaceChildren(element("p", { class: "saved" }, said.join(" ")));
  if (lost?.length) at("import-result").append(element("p", {}, t("import.lost")), numbers([t("import.lost.what"), t("import.lost.count")], lost.map(({ what, count }) => [what, numeric(number(count))])));
}
