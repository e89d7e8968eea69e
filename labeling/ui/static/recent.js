// One's last ten answers, each to be looked at and changed.

import { recentTasks } from "./api.js";
import { element } from "./dom.js";
import { language, t } from "./i18n.js";
import { reasons } from "./form.js";

const dialog = document.getElementById("recent");
const list = document.getElementById("recent-list");

/** The ranking in a line: "B > A = C". */
function outcome(answer) {
  if (answer.outcome === "skipped") return t("label.recent.skipped", { reason: reasons[answer.reason] ? t(reasons[answer.reason]) : answer.reason });
  const places = new Map();
  for (const [slot, rank] of Object.entries(answer.ranks).sort()) places.set(rank, [...(places.get(rank) ?? []), slot]);
  return [...places].sort(([a], [b]) => a - b).map(([, slots]) => slots.join(" = ")).join(" > ");
}

function when(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(language, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Opens the list; change is called with the id of the task to change. */
export async function openRecent(change) {
  list.replaceChildren(element("li", {}, t("label.loading")));
  if (!dialog.open) dialog.showModal();
  try {
    const { tasks } = await recentTasks();
    list.replaceChildren(...(tasks ?? []).map((task) => {
      const button = element("button", { type: "button", class: "button small", "aria-label": t("label.recent.change.task", { prompt: task.prompt.slice(0, 60) }) }, t("label.recent.change"));
      button.addEventListener("click", () => {
        dialog.close();
        change(task.id);
      });
      return element("li", { class: "recent-task" },
        element("div", {}, element("p", { class: "recent-prompt" }, task.prompt), element("p", { class: "fine" }, `${when(task.at)} · ${outcome(task.answer)}`)),
        task.kind === "training" ? "" : button);
    }));
    if (list.childElementCount === 0) list.replaceChildren(element("li", {}, t("label.recent.none")));
  } catch (failure) {
    list.replaceChildren(element("li", { class: "error" }, failure.message));
  }
}

document.getElementById("recent-close").addEventListener("click", () => dialog.close());
