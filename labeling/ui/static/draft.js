// Drafts: the unfinished ranking of a task, kept in this browser so that a reload or a lost session costs nothing.
// A draft holds letters and numbers and the labeler's own comment, no text of the task.

const prefix = "rlhf.draft.";
const keepFor = 14 * 24 * 3600 * 1000; // ms

function name(labeler, task) {
  return `${prefix}${labeler}.${task}`;
}

/** A random name for one submission, so that sending it twice counts once. */
export function idempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing on plain http addresses
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function loadDraft(labeler, task) {
  try {
    return JSON.parse(localStorage.getItem(name(labeler, task)));
  } catch {
    return null;
  }
}

export function saveDraft(labeler, task, draft) {
  try {
    localStorage.setItem(name(labeler, task), JSON.stringify({ ...draft, saved: Date.now() }));
  } catch {
    // Storage that is full or forbidden loses only the draft, not the work on the screen.
  }
}

export function dropDraft(labeler, task) {
  try {
    localStorage.removeItem(name(labeler, task));
  } catch {
    // see saveDraft
  }
}

/** Calls back with the draft whenever another tab of this browser changes the draft of this task. */
export function onForeignDraft(current, callback) {
  addEventListener("storage", (event) => {
    const { labeler, task } = current();
    if (!task || event.key !== name(labeler, task) || !event.newValue) return;
    callback(loadDraft(labeler, task));
  });
}

export function pruneDrafts() {
  try {
    for (const key of Object.keys(localStorage).filter((key) => key.startsWith(prefix))) {
      const saved = JSON.parse(localStorage.getItem(key))?.saved ?? 0;
      if (Date.now() - saved > keepFor) localStorage.removeItem(key);
    }
  } catch {
    // see saveDraft
  }
}
