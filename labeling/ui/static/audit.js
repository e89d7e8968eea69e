// The audit log, latest first.

import { audit } from "./admin-api.js";
import { at, attempt, table, when } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const page = 100;
let listed = [];
let next = "";

const load = () => attempt(at("error"), async () => {
  const answer = await audit(next, page);
  listed = listed.concat(answer.entries);
  next = answer.next;
  table(at("entries"), [t("audit.at"), t("audit.actor"), t("audit.action"), t("audit.object"), t("audit.detail")], listed.map((entry) => [
    when(entry.at), entry.actor || t("parts.commandline"), element("code", {}, entry.action), entry.object, { text: detail(entry.detail), class: "excerpt" },
  ]));
  at("content").hidden = false;
  at("entries").closest(".scroll").hidden = listed.length === 0;
  at("none").hidden = listed.length > 0;
  at("more").hidden = !next;
});

/** "overlap: 3, open: false"; what lies deeper is shown as JSON. */
const detail = (values) => Object.entries(values ?? {}).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");

at("more").addEventListener("click", load);
load();
