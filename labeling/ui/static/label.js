// The labeling page: gets a task, lets the board rank it, keeps the draft and the lease, submits, goes on.

import { ActiveTime } from "./activity.js";
import { ApiError, heartbeat, nextTask, signInAddress, submitRanking } from "./api.js";
import { Board } from "./board.js";
import { announce } from "./dom.js";
import { dropDraft, idempotencyKey, loadDraft, onForeignDraft, pruneDrafts, saveDraft } from "./draft.js";
import { listing, t } from "./i18n.js";

const beat = 30_000; // ms between heartbeats, far below the lease's length
const abandoned = 15 * 60_000; // ms without input after which the lease may run out
const longPrompt = 240; // characters above which a prompt is set in the size of the completions
const lookAgain = 60_000; // ms between looks for new tasks when there are none

const at = (id) => document.getElementById(id);
const active = new ActiveTime();
const board = new Board({ changed, submit });
const labeler = document.documentElement.dataset.user;
let task = null;
let key = "";
let busy = false;
let waiting = false; // there was nothing to rank at the last look

async function start() {
  pruneDrafts();
  await next();
}

async function next() {
  showTrouble("");
  try {
    const answer = await nextTask();
    showProgress(answer.standing);
    if (answer.task) open(answer.task);
    else showAllDone(answer.standing);
  } catch (failure) {
    if (failure.status === 401) location.assign(signInAddress("expired"));
    else showState(t("label.notask"), failure.message, t("label.again"), next);
  }
}

function open(newTask) {
  task = newTask;
  waiting = false;
  const draft = loadDraft(labeler, task.id);
  key = draft?.key ?? idempotencyKey();
  at("comment").value = draft?.comment ?? "";
  active.start(draft?.activeMs ?? 0);
  at("prompt-text").textContent = task.prompt.text;
  at("prompt-text").classList.toggle("long", task.prompt.text.length > longPrompt);
  at("last-letter").textContent = task.completions.at(-1).slot;
  at("last-place").textContent = task.completions.length;
  at("state").hidden = true;
  at("task").hidden = at("bar").hidden = false;
  board.locked = false;
  board.open(task, draft?.places);
  scrollTo(0, 0);
  refresh();
  board.focusFirst();
  announce(draft && !board.ranking.empty ? t("label.draftback") : t("label.newtask", { n: task.completions.length, prompt: task.prompt.text }));
}

function changed() {
  refresh();
  keepDraft();
}

function keepDraft() {
  if (task) saveDraft(labeler, task.id, { places: board.ranking.snapshot(), comment: at("comment").value, activeMs: active.milliseconds, key });
}

function refresh() {
  const { size, complete } = board.ranking;
  const placed = size - board.ranking.unplaced().length;
  at("placed").textContent = complete ? t("label.ready") : t("label.placed", { n: placed, total: size });
  at("submit").disabled = !complete || busy;
  at("submit").textContent = busy ? t("label.saving") : t("label.submit");
  at("undo").disabled = board.history.length === 0 || busy;
}

async function submit() {
  if (busy || !task) return;
  if (!board.ranking.complete) {
    announce(t("label.stilltoplace", { list: listing(board.ranking.unplaced()) }));
    return;
  }
  setBusy(true);
  showTrouble("");
  keepDraft();
  try {
    const answer = await submitRanking(task.id, { ranks: board.ranking.ranks(), opened: task.completions.map((c) => c.slot), active_ms: active.milliseconds, comment: at("comment").value.trim(), idempotency_key: key });
    dropDraft(labeler, task.id);
    task = null;
    showProgress(answer.standing);
    await next();
  } catch (failure) {
    if (!(failure instanceof ApiError)) throw failure;
    submitFailed(failure);
  } finally {
    setBusy(false);
  }
}

function submitFailed(failure) {
  if (failure.status === 401) {
    location.assign(signInAddress("expired"));
  } else if ([404, 409, 410].includes(failure.status)) {
    showTrouble(failure.message, t("label.next"), () => {
      dropDraft(labeler, task.id);
      task = null;
      next();
    });
  } else {
    showTrouble(t("label.notsaved", { reason: failure.message }), t("label.again"), submit);
  }
}

function setBusy(value) {
  busy = value;
  board.locked = value;
  refresh();
}

async function keepLease() {
  if (!task || busy || active.idle > abandoned) return;
  try {
    await heartbeat(task.id);
  } catch (failure) {
    if (failure.status === 401) showTrouble(t("label.ended"), t("label.signin"), () => location.assign(signInAddress("expired")));
    // Anything else shows itself at the submission, which the server accepts late too.
  }
}

function showProgress(progress) {
  if (!progress) return;
  const { done, remaining, today } = progress;
  at("progress").hidden = false;
  at("progress-text").textContent = t("label.progress", { done, remaining, today });
  at("progress-fill").style.width = `${done + remaining === 0 ? 0 : (100 * done) / (done + remaining)}%`;
}

function showTrouble(text, action = "", act = null) {
  const button = at("trouble-button");
  at("trouble-text").textContent = text;
  at("trouble").hidden = text === "";
  button.hidden = action === "";
  button.textContent = action;
  button.onclick = act;
}

function showState(title, text, action, act) {
  task = null;
  waiting = false;
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

function showAllDone(progress) {
  const text = progress.done === 0 ? t("label.none.text") : t("label.done.text", { n: progress.done, today: progress.today });
  showState(progress.done === 0 ? t("label.none.title") : t("label.done.title"), `${text} ${t("label.lookagain")}`, t("label.look"), next);
  at("state").classList.toggle("done", progress.done > 0);
  waiting = true;
  announce(`${at("state-title").textContent}. ${text}`);
}

function toggleHelp() {
  const help = at("help");
  if (help.open) help.close();
  else help.showModal();
}

at("submit").addEventListener("click", submit);
at("undo").addEventListener("click", () => board.undo());
at("help-button").addEventListener("click", toggleHelp);
at("help").addEventListener("click", (event) => event.target === at("help") && toggleHelp()); // a click beside the box
at("comment").addEventListener("input", keepDraft);
document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.target.closest("input, textarea")) return;
  event.preventDefault();
  toggleHelp();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) keepDraft();
  else keepLease();
});
addEventListener("pagehide", keepDraft);
addEventListener("pageshow", (event) => event.persisted && location.reload()); // back from the sign-in page
onForeignDraft(() => ({ labeler, task: task?.id }), (draft) => {
  if (!draft || busy) return;
  board.adopt(draft.places);
  key = draft.key;
  if (document.activeElement !== at("comment")) at("comment").value = draft.comment ?? "";
  refresh();
});
setInterval(keepLease, beat);
setInterval(() => waiting && !busy && !document.hidden && next(), lookAgain);
start();
