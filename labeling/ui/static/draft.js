// The draft of one task: in this browser at once, on the server soon after, and in other tabs of this browser as it changes.
// The server's version number says which draft a change builds upon; a draft changed elsewhere meanwhile is never overwritten
// unseen.

import { putDraft } from "./api.js";
import { device, drafts } from "./keep.js";

const soon = 800; // ms without a change until the draft goes to the server

export class Draft {
  #timer = 0;
  #sending = null;
  #body = null;
  #version;
  #dirty = false;

  /**
   * @param {string} user
   * @param {{id: string, draft?: {version: number, body: object}}} task
   * @param {(other: {body: object, version: number}) => void} conflict called with a draft made elsewhere that differs from this one
   */
  constructor(user, task, conflict) {
    this.user = user;
    this.task = task.id;
    this.server = task.draft ?? null;
    this.conflict = conflict;
    this.#version = this.server?.version ?? 0;
  }

  /** The draft to go on with: the server's, or this browser's where that is the newer one. */
  async load() {
    const local = await drafts.get(this.user, this.task);
    if (local?.version > this.#version) { // what the server said is older than what it has acknowledged since
      this.#version = local.version;
      this.server = null;
    }
    if (!local || (!local.dirty && this.server)) {
      this.#body = this.server?.body ?? local?.body ?? null;
    } else if (!local.dirty || local.version >= this.#version) {
      this.#body = local.body;
      if (local.dirty) this.#later(0);
    } else { // both have changed: go on with the later one, and offer the other where it was made elsewhere
      const newer = (local.body.at ?? 0) >= (this.server.body.at ?? 0);
      this.#body = newer ? local.body : this.server.body;
      if (this.server.body.device !== device) this.conflict({ body: newer ? this.server.body : local.body, version: this.#version });
      if (newer) this.#later(0);
    }
    return this.#body;
  }

  change(body) {
    this.#body = { ...body, device, at: Date.now() };
    this.#dirty = true;
    drafts.put({ user: this.user, task: this.task, body: this.#body, version: this.#version, dirty: true });
    this.#later(soon);
  }

  get body() {
    return this.#body;
  }

  /** Takes over what another tab has kept already, and reports whether it is the newer one. */
  adopt(body, version) {
    this.#version = Math.max(version, this.#version);
    if (body.at < (this.#body?.at ?? 0)) return false; // this one is newer
    this.#body = body;
    this.#dirty = false;
    clearTimeout(this.#timer);
    return true;
  }

  get version() {
    return this.#version;
  }

  /** Sends what is not on the server yet. */
  async flush(leaving = false) {
    clearTimeout(this.#timer);
    if (!this.#dirty || this.#sending || this.#body === null) return;
    const body = this.#body;
    this.#dirty = false;
    this.#sending = this.#send(body, leaving);
    await this.#sending;
    this.#sending = null;
    if (this.#dirty) this.#later(soon);
  }

  async #send(body, leaving) {
    try {
      const answer = await putDraft(this.task, this.#version, body, leaving);
      this.#version = answer.version;
      if (!this.#dirty) drafts.put({ user: this.user, task: this.task, body, version: this.#version, dirty: false });
      this.sent?.(body, this.#version);
    } catch (failure) {
      const other = failure.answer?.draft;
      if (failure.code === "draft" && other) {
        this.#version = other.version;
        if (other.body.device !== device) this.conflict(other);
        this.#dirty = true; // what is on the screen stays, and goes over the other unless the labeler takes that
      } else if (failure.passing) {
        this.#dirty = true;
      }
    }
  }

  /** Ends with the task; drop says that it is finished. */
  async stop(drop) {
    clearTimeout(this.#timer);
    if (drop) {
      this.#dirty = false;
      await drafts.drop(this.user, this.task);
    }
  }

  #later(after) {
    clearTimeout(this.#timer);
    this.#dirty = true;
    this.#timer = setTimeout(() => this.flush(), after);
  }
}
