// The labeling page: shows a task, has it read, rated and ranked, keeps the draft, hands the answer to the outbox, goes on.

import { ActiveTime } from "./activity.js";
import { ApiError, oneTask, signInAddress } from "./api.js";
import { Board } from "./board.js";
import { openComparison } from "./compare.js";
import { announce } from "./dom.js";
import { Draft } from "./draft.js";
import { showFeedback } from "./feedback.js";
import { Form } from "./form.js";
import { followGuide, toggleGuide } from "./guide.js";
import { listing, t } from "./i18n.js";
import { drafts, idempotencyKey } from "./keep.js";
import { Opened } from "./opened.js";
import { openRecent } from "./recent.js";
import { askToSkip } from "./skip.js";
import { showStanding } from "./standing.js";
import { Tabs } from "./tabs.js";
import { showPrompt } from "./texts.js";
import { View } from "./view.js";
import { Work } from "./work.js";

const beat = 30_000; // ms between heartbeats, far below the lease's length
const abandoned = 15 * 60_000; // ms without input after which the lease may run out
const longPrompt = 240; // characters above which a prompt is set in the size of the completions
const lookAgain = 60_000; // ms between looks for new tasks when there are none
const nothingAsked = { rate: false, questions: [], confidence: false, must_open: false };

const at = (id) => document.getElementById(id);
const user = document.documentElement.dataset.user;
const active = new ActiveTime();
const opened = new Opened((slot) => {
  board.cards.get(slot)?.read(true);
  changed();
});
const view = new View((what) => {
  if (!task) return;
  if (what === "raw") {
    board.show(view.raw);
    showPrompt(at("prompt-body"), task.prompt, view.raw);
  }
  board.arrange(view.side);
  opened.look();
});
const board = new Board({ changed, enter: proceed, digit: (slot, n) => step === "rate" && form.rate(slot, n), read: (slot) => opened.has(slot), ranking: () => step === "rank", letters: () => view.letters });
const work = new Work(user, { standing: showStanding, sent, waiting, refused, expired: () => location.assign(signInAddress("expired")), ended: sessionEnded });
const tabs = new Tabs(user, { draft: foreignDraft, done: doneElsewhere, task: () => task?.id });
let task = null;
let form = null;
let draft = null;
let step = "rank"; // or rate, before it
let key = "";
let startedAt = 0;
let busy = false;
let resume = null; // the task to come back to while an earlier answer is changed
let waitingForTasks = false; // there was nothing to rank at the last look

async function start() {
  drafts.prune();
  await work.start();
  await next();
}

/** Shows the next task, or says that there is none. */
async function next() {
  showTrouble("");
  try {
    const following = resume ?? (await work.take());
    resume = null;
    if (following) await open(following);
    else showAllDone();
  } catch (failure) {
    if (!(failure instanceof ApiError)) throw failure;
    if (failure.status === 401) location.assign(signInAddress("expired"));
    else showState(t("label.notask"), failure.message, t("label.again"), next);
  }
}

async function open(newTask) {
  draft?.flush();
  draft?.stop(false);
  task = null; // until all of it is on the screen nothing is a change
  const slots = newTask.completions.map((completion) => completion.slot);
  draft = new Draft(user, newTask, conflict);
  draft.sent = (body, version) => tabs.tell({ type: "draft", task: newTask.id, body, version });
  const kept = await draft.load();
  const body = kept ?? earlier(newTask);
  form = new Form(newTask.form ?? nothingAsked, slots, changed);
  form.restore(body ?? {});
  step = form.rates && (body?.step !== "rank" || form.missing().length > 0) ? "rate" : "rank";
  key = body?.key ?? idempotencyKey();
  startedAt = body?.startedAt ?? Date.now();
  active.start(body?.activeMs ?? 0);
  at("comment").value = body?.comment ?? "";
  waitingForTasks = false;
  work.inHand = [newTask.answer ? null : newTask.id, resume?.id].filter(Boolean);
  task = newTask;
  at("state").hidden = true;
  at("task").hidden = at("bar").hidden = false;
  setBusy(false);
  view.fit(task);
  lay(body?.places);
  opened.start(new Map([...board.cards].map(([slot, card]) => [slot, card.end])), body?.opened ?? []);
  for (const [slot, card] of board.cards) card.read(opened.has(slot));
  scrollTo(0, 0);
  refresh();
  if (!followGuide(task)) board.focusFirst();
  announce(kept && !board.ranking.empty ? t("label.draftback") : t("label.newtask", { n: slots.length, prompt: task.prompt.text }));
  tabs.tell({ type: "here", task: task.id });
  work.prefetch();
}

/** Puts the task's parts on the page. */
function lay(places) {
  at("kind").hidden = task.kind !== "training" && !task.answer;
  at("kind").textContent = task.answer ? t("label.changing") : t("label.training");
  at("cancel").hidden = !task.answer;
  showPrompt(at("prompt-body"), task.prompt, view.raw);
  at("prompt-body").classList.toggle("long", Boolean(task.prompt.messages) || task.prompt.text.length > longPrompt);
  at("last-letter").textContent = task.completions.at(-1).slot;
  at("last-place").textContent = task.completions.length;
  at("whole").replaceChildren(...form.whole());
  at("task").dataset.step = step;
  at("bar").dataset.step = step;
  board.side = view.side;
  board.open(task, form, places, view.raw);
}

/** An answer given before, as a draft to change it. */
function earlier({ answer, completions }) {
  if (!answer) return null;
  return { places: answer.ranks, ratings: answer.ratings, confidence: answer.confidence, flags: answer.flags, comment: answer.comment, step: "rank", opened: completions.map(({ slot }) => slot) };
}

function changed() {
  if (!task) return;
  refresh();
  keepDraft();
}

function keepDraft() {
  if (!task || busy) return;
  const body = { ...form.answers(), places: board.ranking.snapshot(), comment: at("comment").value, opened: [...opened.slots], step, activeMs: active.milliseconds, startedAt, key };
  draft.change(body);
  tabs.tell({ type: "draft", task: task.id, body: draft.body, version: draft.version });
}

const unread = () => (task.form?.must_open ? board.ranking.slots.filter((slot) => !opened.has(slot)) : []);

function refresh() {
  const { size, complete } = board.ranking;
  const placed = size - board.ranking.unplaced().length;
  const missing = form.missing();
  const rest = unread();
  let text = complete ? t("label.ready") : t("label.placed", { n: placed, total: size });
  if (step === "rate") text = missing.length > 0 ? t("label.rated.count", { n: size - missing.length, total: size }) : t("label.rated.all");
  if ((step === "rate" ? missing.length === 0 : complete) && rest.length > 0) text = t("label.unread.left", { list: listing(rest) });
  at("placed").textContent = text;
  at("submit").disabled = busy || (step === "rate" ? missing.length > 0 : !complete);
  at("submit").textContent = busy ? t("label.saving") : step === "rate" ? t("label.torank") : t("label.submit");
  at("back").hidden = !form.rates || step === "rate";
  at("undo").disabled = board.history.length === 0 || busy;
  for (const id of ["skip", "back", "cancel"]) at(id).disabled = busy;
}

/** Goes from rating to ranking, and from ranking to the next task. */
function proceed() {
  if (busy || !task) return;
  const rest = unread();
  const missing = step === "rate" ? form.missing() : board.ranking.unplaced();
  if (missing.length > 0) {
    announce(step === "rate" ? t("label.stilltorate", { list: listing(missing) }) : t("label.stilltoplace", { list: listing(missing) }));
    if (step === "rate") board.focus(missing[0]);
  } else if (rest.length > 0) {
    board.cards.get(rest[0]).end.scrollIntoView({ block: "end" });
    board.cards.get(rest[0]).article.focus({ preventScroll: true });
    announce(t("label.unread.left", { list: listing(rest) }));
  } else if (step === "rate") {
    goTo("rank");
  } else {
    finish(false, { ranks: board.ranking.ranks(), opened: [...opened.slots], ...form.answers(), comment: at("comment").value.trim() });
  }
}

function goTo(other) {
  step = other;
  at("task").dataset.step = at("bar").dataset.step = step;
  board.render();
  changed();
  scrollTo(0, 0);
  board.focusFirst();
  announce(step === "rank" ? t("label.nowrank") : t("label.nowrate"));
}

/** Hands the answer to the outbox and goes on; where nothing is ready to go on to, the server is waited for. */
async function finish(skip, answer) {
  setBusy(true);
  showTrouble("");
  const spent = { active_ms: active.milliseconds, wall_ms: Math.max(active.milliseconds, Date.now() - startedAt) };
  await work.put({ key, user, task: task.id, skip, body: { ...answer, ...spent, idempotency_key: key, revision: task.revision ?? 0 } });
  draft.stop(false);
  const goOn = work.ready && task.kind !== "training" && !resume;
  if (goOn) task = draft = null;
  work.flush();
  if (goOn) next();
}

/** The server has an answer. */
async function sent(entry, answer) {
  tabs.tell({ type: "done", task: entry.task });
  if (draft?.task === entry.task) await draft.stop(true);
  else await drafts.drop(user, entry.task);
  showTrouble("");
  showPending();
  at("saved").hidden = false;
  if (task?.id === entry.task) {
    if (answer.feedback) await showFeedback(answer.feedback, entry.body.ranks, answer.standing.training_left);
    task = null;
    setBusy(false);
    next();
  } else {
    work.prefetch();
  }
}

/** An answer could not be sent for now; it is sent again by itself. */
function waiting(entry, failure) {
  showPending();
  const text = failure.status === 0 ? t("label.offline") : t("label.notsaved", { reason: failure.message });
  showTrouble(text, t("label.again"), () => work.flush());
}

/** The server does not want an answer. */
function refused(entry, failure) {
  showPending();
  const here = task?.id === entry.task;
  if (here) setBusy(false);
  if ([404, 409, 410].includes(failure.status)) {
    drafts.drop(user, entry.task);
    showTrouble(failure.message, here ? t("label.next") : "", () => {
      draft.stop(true);
      task = null;
      next();
    });
  } else if (here) {
    showTrouble(failure.message);
  } else {
    showTrouble(failure.message, t("label.backto"), () => change(entry.task));
  }
}

function showPending() {
  at("pending").hidden = work.entries.length === 0;
  at("pending").textContent = t("label.pending", { n: work.entries.length });
}

function sessionEnded() {
  showTrouble(t("label.ended"), t("label.signin"), () => location.assign(signInAddress("expired")));
}

/** Opens an earlier answer to be changed; the present task waits. */
async function change(id) {
  if (busy) return;
  keepDraft();
  try {
    const old = await oneTask(id);
    resume ??= task && !task.answer ? task : null;
    await open(old);
  } catch (failure) {
    if (!(failure instanceof ApiError)) throw failure;
    showTrouble(failure.message);
  }
}

/** Leaves an earlier answer as it was. */
async function cancel() {
  await draft.stop(true);
  task = null;
  next();
}

function conflict(other) {
  showTrouble(t("label.conflict"), t("label.conflict.use"), () => {
    adopt(other.body);
    keepDraft();
    showTrouble("");
  });
}

function adopt(body) {
  form.restore(body);
  at("whole").replaceChildren(...form.whole());
  board.adopt(body.places);
  key = body.key ?? key;
  if (document.activeElement !== at("comment")) at("comment").value = body.comment ?? "";
  refresh();
}

function foreignDraft(body, version) {
  if (busy) return;
  if (draft.adopt(body, version)) adopt(body);
}

function doneElsewhere() {
  if (busy) return;
  draft.stop(true);
  task = null;
  announce(t("label.elsewhere"));
  next();
}

function setBusy(value) {
  busy = value;
  board.locked = value;
  if (task) refresh();
}

function showTrouble(text, action = "", act = null) {
  const button = at("trouble-button");
  at("trouble-text").textContent = text;
  at("trouble").hidden = text === "";
  button.hidden = action === "";
  button.textContent = action;
  button.onclick = act;
  if (text !== "") at("bar").hidden = false;
}

function showState(title, text, action, act) {
  task = null;
  waitingForTasks = false;
  at("task").hidden = at("bar").hidden = true;
  at("state").hidden = false;
  at("state").classList.remove("done");
  at("state-title").textContent = title;
  at("state-text").textContent = text;
  const button = at("state-button");
  button.hidden = !action;
  button.textContent = action;
  button.onclick = act;
}

function showAllDone() {
  const { done, today, paused } = work.standing;
  let [title, text] = done === 0 ? [t("label.none.title"), t("label.none.text")] : [t("label.done.title"), t("label.done.text", { n: done, today })];
  if (paused) [title, text] = [t("label.paused.title"), t("label.paused.text")];
  showState(title, t("label.sentences", { a: text, b: t("label.lookagain") }), t("label.look"), next);
  at("state").classList.toggle("done", done > 0 && !paused);
  waitingForTasks = true;
  announce(`${title}. ${text}`);
}

function toggleHelp() {
  const help = at("help");
  if (help.open) return help.close();
  help.showModal();
  at("help-title").focus(); // its first control is far down
}

function skip() {
  if (busy || !task) return;
  askToSkip(task.answer, ({ reason, comment }) => finish(true, { reason, comment }));
}

const keys = {
  "?": toggleHelp,
  v: () => view.turn(),
  r: () => view.toggleRaw(),
  x: () => task && openComparison(task, board.focused),
  w: toggleGuide,
  s: skip,
  l: () => openRecent(change),
};

for (const [id, act] of Object.entries({ submit: proceed, undo: () => board.undo(), back: () => goTo("rate"), skip, cancel, "help-button": toggleHelp, "compare-button": keys.x, "recent-button": keys.l, "change-last": keys.l })) {
  at(id).addEventListener("click", act);
}
at("help").addEventListener("click", (event) => event.target === at("help") && toggleHelp()); // a click beside the box
at("comment").addEventListener("input", keepDraft);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, input:not([type=radio], [type=checkbox])")) return;
  if (document.querySelector("dialog[open], :popover-open") && !(event.key === "?" && at("help").open)) return;
  const act = view.letters && keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return work.beat();
  keepDraft();
  draft?.flush(true);
});
addEventListener("pagehide", () => {
  keepDraft();
  draft?.flush(true);
});
addEventListener("pageshow", (event) => event.persisted && location.reload()); // back from the sign-in page
addEventListener("online", () => draft?.flush());
setInterval(() => {
  if (!task || active.idle > abandoned) return;
  work.beat();
  draft.flush();
}, beat);
setInterval(() => waitingForTasks && !busy && !document.hidden && next(), lookAgain);
start();
