// A disputed task: what the labelers said side by side, their consensus, and the reviewer's own ranking beside theirs.

import { decide, dispute } from "./admin-api.js";
import { at, attempt, chip, count, duration, moment, numeric, onSubmit, pathPart, reading, reasonName, table, when } from "./admin-parts.js";
import { announce, element } from "./dom.js";
import { listing, t } from "./i18n.js";

const id = pathPart(3);
const form = at("decision");
let task = null;
let lettered = null; // the completion chosen by its letter, which the next number places

at("back").href = `/review/${pathPart(2)}`;

attempt(at("error"), async () => {
  task = await dispute(id);
  at("prompt").replaceChildren(reading(task.prompt));
  at("completions").replaceChildren(...task.completions.map((completion) => element("article", { class: "panel response", id: `response-${completion.slot}`, "aria-labelledby": `letter-${completion.slot}` },
    element("h3", { class: "letter", id: `letter-${completion.slot}` }, completion.slot), reading(completion))));
  showRankings();
  showDecision(task.decision);
  at("take").hidden = !task.consensus?.length;
  at("content").hidden = false;
});

function showRankings() {
  const heads = ["", ...task.completions.map(({ slot }) => slot), t("verdict.time"), t("verdict.confidence")];
  const rows = task.rankings.map((ranking) => [name(ranking), ...ranking.ranks.map((rank) => numeric(String(rank))), numeric(duration(ranking.active_ms)), numeric(count(ranking.confidence))]);
  if (task.consensus?.length) rows.push([element("strong", {}, t("verdict.consensus")), ...task.consensus.map((rank) => numeric(String(rank))), "", ""]);
  table(at("rankings"), heads, rows);
  at("comments").replaceChildren(...task.rankings.filter(({ comment, flags }) => comment || flags?.length).map(({ labeler, comment, flags }) => element("p", { class: "remark" },
    element("strong", {}, labeler), " ", [...(flags ?? []).map(reasonName), comment].filter(Boolean).join(" · "))));
}

/** Who made a ranking, and what sets it apart from the others. */
function name({ labeler, extra, choice }) {
  const marks = [extra && t("verdict.extra"), choice && t("verdict.choice")].filter(Boolean).map((text) => chip(text));
  return element("span", { class: "tags" }, labeler, ...marks);
}

/** Decisions that a later one replaced. */
function showEarlier(decisions) {
  at("earlier").hidden = decisions.length === 0;
  table(at("earlier-table"), ["", ...task.completions.map(({ slot }) => slot), t("task.note")], decisions.map((decision) => [
    element("span", {}, decision.reviewer, element("br"), when(decision.at)), ...decision.ranks.map((rank) => numeric(String(rank))), decision.note]));
}

function showDecision(decision) {
  showEarlier(task.notes);
  at("decided").textContent = decision ? t("verdict.decided", { name: decision.reviewer, at: moment(decision.at) }) : t("verdict.undecided");
  form.elements.note.value = decision?.note ?? "";
  at("places").replaceChildren(...task.completions.map(({ slot }, i) => placeField(slot, decision?.ranks[i])));
}

/** The places of one completion, as radio buttons: arrows choose among them, and an equal place is a tie. */
function placeField(slot, chosen) {
  const options = task.completions.map((_, i) => {
    const input = element("input", { type: "radio", name: `place-${slot}`, value: i + 1, "aria-label": t("label.card.put", { slot, n: i + 1 }) });
    input.checked = chosen === i + 1;
    return element("label", { class: "place-choice" }, input, element("span", { "aria-hidden": "true" }, String(i + 1)));
  });
  return element("fieldset", { class: "place-row", "data-slot": slot }, element("legend", {}, slot), ...options);
}

// The column of rankings and decision stays in view, its end at least where it is higher than the window.
new ResizeObserver(([{ target }]) => (target.style.top = `min(16px, calc(100dvh - ${target.offsetHeight + 16}px))`)).observe(document.querySelector(".judging"));

const places = () => task.completions.map(({ slot }) => Number(form.elements[`place-${slot}`].value));

function put(slot, place) {
  const input = form.querySelector(`[data-slot="${slot}"] [value="${place}"]`);
  if (!input) return;
  input.checked = true;
  const tied = task.completions.filter((other, i) => other.slot !== slot && places()[i] === place).map((other) => other.slot);
  announce(tied.length ? t("verdict.put.tied", { slot, n: place, list: listing(tied) }) : t("verdict.put", { slot, n: place }));
}

function choose(slot) {
  lettered = slot;
  for (const row of at("places").children) row.classList.toggle("chosen", row.dataset.slot === slot);
  at(`response-${slot}`).scrollIntoView({ block: "nearest" });
  announce(t("verdict.chosen", { slot }));
}

document.addEventListener("keydown", (event) => {
  if (!task || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, input:not([type=radio]), [popover]")) return;
  const letter = event.key.toUpperCase();
  if (task.completions.some(({ slot }) => slot === letter)) choose(letter);
  else if (lettered && /^[1-9]$/.test(event.key)) put(lettered, Number(event.key));
  else return;
  event.preventDefault();
});

form.addEventListener("change", () => (at("saved").textContent = ""));

at("take").addEventListener("click", () => {
  task.completions.forEach(({ slot }, i) => put(slot, task.consensus[i]));
  announce(t("verdict.taken"));
});

onSubmit(form, async () => {
  const given = places();
  const open = task.completions.filter((_, i) => given[i] === 0).map(({ slot }) => slot);
  if (open.length) throw Object.assign(new Error(t("verdict.left", { list: listing(open) })), { status: 422, field: `place-${open[0]}` });
  const steps = [...new Set(given)].sort((a, b) => a - b); // 1, 3, 3 is said as 1, 2, 2
  const note = form.elements.note.value;
  const ranks = given.map((place) => steps.indexOf(place) + 1);
  await decide(id, { ranks, note });
  task = await dispute(id);
  showDecision(task.decision);
  at("saved").textContent = t("verdict.saved");
});
