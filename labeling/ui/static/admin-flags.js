// What labelers skipped or flagged, and responses that name themselves.

import { flags } from "./admin-api.js";
import { at, attempt, chip, reasonName, table, when } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const what = { skip: "flags.skip", flag: "flags.flag", leak: "flags.leak" };
let listed = [];
let next = 0;

export function flagsSection({ id }) {
  const load = () => attempt(at("flags-error"), async () => {
    const answer = await flags(id, next || "");
    listed = listed.concat(answer.flags);
    next = answer.next;
    show();
  });
  at("flags-more").addEventListener("click", load);
  load();
}

function show() {
  const rows = listed.map((flag) => [
    element("a", { class: "cell-link", href: `#tasks/${flag.task}` }, String(flag.task)),
    chip(Object.hasOwn(what, flag.kind) ? t(what[flag.kind]) : flag.kind, flag.kind === "leak" ? "bad" : ""),
    flag.kind === "leak" ? flag.reason : reasonName(flag.reason),
    flag.labeler || "",
    when(flag.at),
    { text: flag.comment || "", class: "excerpt" },
    { text: flag.prompt, class: "excerpt" },
  ]);
  table(at("flags-table"), [t("tasks.task"), t("flags.kind"), t("flags.reason"), t("flags.labeler"), t("flags.at"), t("label.comment"), t("tasks.prompt")], rows);
  at("flags-table").closest(".scroll").hidden = rows.length === 0;
  at("flags-none").hidden = rows.length > 0;
  at("flags-more").hidden = !next;
}
