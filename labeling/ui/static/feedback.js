// What a training task's answer was worth: the labeler's order beside the researcher's, and why.

import { element, rendered } from "./dom.js";
import { t } from "./i18n.js";

const dialog = document.getElementById("feedback");

/** Shows it until the labeler goes on. */
export function showFeedback(feedback, ranks, left) {
  const { right, pairs, ranks: reference, note_html: note } = feedback;
  document.getElementById("feedback-score").textContent = t("label.feedback.score", { right, pairs });
  const rows = Object.keys(reference).sort((a, b) => reference[a] - reference[b] || (a < b ? -1 : 1)).map((slot) =>
    element("tr", {}, element("th", { scope: "row" }, t("label.completion", { slot })), element("td", {}, String(reference[slot])), element("td", { class: ranks[slot] === reference[slot] ? "same" : "other" }, String(ranks[slot]))));
  document.getElementById("feedback-table").replaceChildren(
    element("thead", {}, element("tr", {}, element("td", {}), element("th", { scope: "col" }, t("label.feedback.ours")), element("th", { scope: "col" }, t("label.feedback.yours")))),
    element("tbody", {}, ...rows));
  document.getElementById("feedback-note").replaceChildren(note ? rendered(note) : "");
  document.getElementById("feedback-left").textContent = left > 0 ? t("label.feedback.left", { n: left }) : t("label.feedback.last");
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
}
