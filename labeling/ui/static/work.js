// The tasks in hand: the one on the screen, the next one, fetched under its lease before it is needed, and the answers on
// their way to the server. An answer is in this browser's outbox before it is sent and until the server has acknowledged it;
// its idempotency key makes sending it again harmless.

import { ApiError, heartbeat, nextTask, skipTask, submitRanking } from "./api.js";
import { outbox } from "./keep.js";

const shortest = 2_000; // ms until an answer that did not arrive is sent again; twice as long each time
const longest = 60_000;

export class Work {
  #ready = null; // the next task
  #until = 0; // when its lease ends
  #fetching = null;
  #sending = null;
  #timer = 0;
  #wait = shortest;
  #beating = new Set();

  /**
   * @param {string} user
   * @param {{standing: (standing: object) => void, sent: (entry: object, answer: object) => void, waiting: (entry: object, failure: ApiError) => void,
   *   refused: (entry: object, failure: ApiError) => void, expired: () => void, ended: () => void}} page
   */
  constructor(user, page) {
    this.user = user;
    this.page = page;
    this.inHand = []; // ids of the unfinished tasks that the page shows, or comes back to
    this.entries = []; // answers not acknowledged
    this.standing = { done: 0, remaining: 0, today: 0 }; // as the server last told it
    addEventListener("online", () => this.flush());
  }

  get ready() {
    return this.#ready !== null && this.#until > Date.now();
  }

  async start() {
    this.entries = await outbox.of(this.user);
    return this.flush();
  }

  /** The next task, or null when there is none. */
  async take() {
    await this.#fetching;
    let task = this.#until > Date.now() ? this.#ready : null;
    this.#ready = null;
    if (!task) {
      await this.flush();
      const answer = await nextTask(this.entries.map((entry) => entry.task));
      this.#stands(answer.standing);
      task = answer.task;
    }
    return task;
  }

  /** Gets the next task ready while the labeler works on this one. */
  prefetch() {
    if (this.#fetching || this.ready || this.entries.length > 0 || this.inHand.length === 0) return;
    this.#fetching = nextTask(this.inHand)
      .then((answer) => {
        this.#stands(answer.standing);
        this.#ready = answer.task && !this.inHand.includes(answer.task.id) ? answer.task : null;
        this.#until = Date.parse(answer.task?.lease_expires_at);
      }, () => {}) // then the next task is fetched when it is needed
      .finally(() => (this.#fetching = null));
  }

  /** Puts an answer into the outbox. */
  async put(entry) {
    this.entries = [...this.entries.filter((other) => other.key !== entry.key), entry];
    await outbox.put(entry);
  }

  /** Sends what waits, in its order, and reports whether nothing is left. */
  flush() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#flush().finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #flush() {
    while (this.entries.length > 0) {
      const entry = this.entries[0];
      let answer;
      try {
        answer = await (entry.skip ? skipTask : submitRanking)(entry.task, entry.body);
      } catch (failure) {
        if (!(failure instanceof ApiError)) throw failure;
        if (failure.status === 401) {
          this.page.expired();
          return false;
        }
        if (failure.passing) {
          this.#timer = setTimeout(() => this.flush(), this.#wait);
          this.#wait = Math.min(2 * this.#wait, longest);
          this.page.waiting(entry, failure);
          return false;
        }
        await this.#acknowledged(entry);
        this.page.refused(entry, failure);
        continue;
      }
      this.#wait = shortest;
      await this.#acknowledged(entry);
      this.#stands(answer.standing);
      this.page.sent(entry, answer);
    }
    return true;
  }

  #stands(standing) {
    if (!standing) return;
    this.standing = standing;
    this.page.standing(standing);
  }

  async #acknowledged(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    await outbox.drop(entry);
  }

  /** Keeps the leases of what is in hand. */
  async beat() {
    for (const id of [...this.inHand, this.#ready?.id]) {
      if (!id || this.#beating.has(id)) continue;
      this.#beating.add(id);
      try {
        const { lease_expires_at: until } = await heartbeat(id);
        if (id === this.#ready?.id) this.#until = Date.parse(until);
      } catch (failure) {
        if (failure.status === 401) this.page.ended();
        if (failure.status === 404 && id === this.#ready?.id) this.#ready = null;
        // Anything else shows itself when the answer is sent, which the server takes late too.
      } finally {
        this.#beating.delete(id);
      }
    }
    this.prefetch();
  }
}
