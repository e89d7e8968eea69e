// The differences between two completions, side by side, on request.

import { differences } from "./diff.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const dialog = document.getElementById("compare");
const table = document.getElementById("compare-rows");
let completions = [];
let chosen = [];

function show() {
  const [a, b] = chosen.map((slot) => completions.find((completion) => completion.slot === slot));
  const { rows, only, shared } = differences(a.text, b.text);
  const side = (pieces, other) => element("div", { class: "text raw" }, ...pieces.map(({ text, only: alone }) =>
    alone ? element("mark", { class: "only", "aria-label": t("label.compare.only", { slot: other }) }, text) : text));
  table.replaceChildren(
    element("div", { class: "compare-row heads" }, element("h3", {}, t("label.completion", { slot: a.slot })), element("h3", {}, t("label.completion", { slot: b.slot }))),
    ...rows.map((row) => element("div", { class: "compare-row" }, side(row.a, a.slot), side(row.b, b.slot))));
  document.getElementById("compare-summary").textContent = t("label.compare.summary", { a: a.slot, b: b.slot, onlya: only[0], onlyb: only[1], shared });
  for (const [i, id] of ["compare-left", "compare-right"].entries()) {
    document.getElementById(id).replaceChildren(...completions.map(({ slot }) => {
      const button = element("button", { type: "button", class: "choice", "aria-pressed": String(slot === chosen[i]) }, slot);
      button.addEventListener("click", () => {
        if (chosen[1 - i] === slot) chosen[1 - i] = chosen[i];
        chosen[i] = slot;
        show();
        document.getElementById(id).querySelector("[aria-pressed=true]").focus();
      });
      return button;
    }));
  }
}

/** Opens the view on the completion in focus and the one after it. */
export function openComparison(task, slot) {
  completions = task.completions;
  const first = Math.max(0, completions.findIndex((completion) => completion.slot === slot));
  const second = first + 1 < completions.length ? first + 1 : first - 1;
  chosen = [completions[Math.min(first, second)].slot, completions[Math.max(first, second)].slot];
  show();
  dialog.showModal();
}

document.getElementById("compare-close").addEventListener("click", () => dialog.close());
