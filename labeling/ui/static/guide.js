// The guidelines beside the task, with examples; a version not seen before opens by itself.

import { guidelines } from "./api.js";
import { element, rendered } from "./dom.js";
import { t } from "./i18n.js";
import { showCompletion, showPrompt } from "./texts.js";

const panel = document.getElementById("guide");
const body = document.getElementById("guide-body");
const button = document.getElementById("guide-button");
let shown = ""; // project and version in the panel

const seenKey = (project) => `rlhf.guide.${document.documentElement.dataset.user}.${project}`;

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then the panel opens once more.
  }
}

function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function example(task, i) {
  const prompt = element("div", { class: "prompt-body" });
  showPrompt(prompt, task.prompt, false);
  prompt.querySelector("#prompt-text")?.removeAttribute("id");
  const ranked = [...task.completions].sort((a, b) => (a.rank ?? 99) - (b.rank ?? 99)).map((completion) => {
    const text = element("div", {});
    showCompletion(text, task.prompt, completion, false);
    return element("li", { class: "example-answer" }, completion.rank ? element("span", { class: "place-badge" }, t("label.place", { n: completion.rank })) : "", text);
  });
  return element("section", { class: "example" }, element("h3", {}, t("label.guide.example", { n: i + 1 })), prompt, element("ol", { class: "example-answers" }, ...ranked),
    task.note_html ? element("div", { class: "text rich note" }, rendered(task.note_html)) : "");
}

async function load(project, version) {
  const key = `${project}/${version}`;
  if (shown === key) return;
  body.replaceChildren(element("p", {}, t("label.loading")));
  try {
    const guide = await guidelines(project);
    body.replaceChildren(element("div", { class: "text rich" }, rendered(guide.html)), ...guide.examples.map(example));
    document.getElementById("guide-version").textContent = t("label.guide.version", { n: guide.version });
    shown = key;
  } catch (failure) {
    body.replaceChildren(element("p", { class: "error" }, failure.message));
  }
}

let current = { project: "", version: 0 };

/** Shows the way to the guidelines that hold for a task, opens those not seen before, and reports whether they took the focus. */
export function followGuide(task) {
  current = { project: task.project, version: task.guideline_version };
  button.hidden = current.version === 0;
  if (current.version === 0) {
    close();
    return false;
  }
  const seen = recall(seenKey(task.project)) === String(current.version);
  document.getElementById("guide-new").hidden = seen;
  if (!seen || !panel.hidden) open();
  const over = !seen && getComputedStyle(panel).position === "fixed"; // it lies over the task
  if (over) panel.focus();
  return over;
}

function open() {
  panel.hidden = false;
  document.body.classList.add("guided");
  button.setAttribute("aria-expanded", "true");
  load(current.project, current.version);
}

function close() {
  panel.hidden = true;
  document.body.classList.remove("guided");
  button.setAttribute("aria-expanded", "false");
}

export function toggleGuide() {
  if (button.hidden) return;
  if (panel.hidden) {
    open();
    panel.focus();
  } else {
    remember(seenKey(current.project), String(current.version)); // closed, therefore seen
    document.getElementById("guide-new").hidden = true;
    const inside = panel.contains(document.activeElement);
    close();
    if (inside) button.focus();
  }
}

button.addEventListener("click", toggleGuide);
document.getElementById("guide-close").addEventListener("click", toggleGuide);
panel.addEventListener("keydown", (event) => {
  if (event.key === "Escape") toggleGuide();
});
