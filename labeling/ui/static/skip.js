// Skipping a task, with the reason.

import { choices, reasons } from "./form.js";
import { t } from "./i18n.js";

const dialog = document.getElementById("skip-dialog");
const error = document.getElementById("skip-error");
const comment = document.getElementById("skip-comment");
let reason = null;
let done = null;

/** Asks for the reason; skip is called with {reason, comment}. */
export function askToSkip(before, skip) {
  reason = before?.reason || null;
  comment.value = before?.comment ?? "";
  error.textContent = "";
  done = skip;
  document.getElementById("skip-reasons").replaceChildren(choices(t("label.skip.why"), Object.entries(reasons).map(([key, text]) => [key, t(text)]), reason, (value) => {
    reason = value;
    error.textContent = "";
  }));
  dialog.showModal();
}

document.getElementById("skip-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (reason === null) {
    error.textContent = t("label.skip.noreason");
    return;
  }
  dialog.close();
  done({ reason, comment: comment.value.trim() });
});
document.getElementById("skip-cancel").addEventListener("click", () => dialog.close());
