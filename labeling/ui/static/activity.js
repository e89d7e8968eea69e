// Active time: how long a task was worked on, counting only while the page is visible and the labeler not idle.

const idleAfter = 60_000; // ms without any input; reading a long text takes a while

export class ActiveTime {
  #total = 0;
  #last = performance.now();
  #lastInput = performance.now();

  constructor() {
    const input = () => {
      this.#advance();
      this.#lastInput = performance.now();
    };
    for (const type of ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchstart"]) {
      addEventListener(type, input, { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#advance();
      else this.#last = this.#lastInput = performance.now();
    });
  }

  /** Starts counting anew, from the milliseconds a draft had reached. */
  start(milliseconds = 0) {
    this.#total = milliseconds;
    this.#last = this.#lastInput = performance.now();
  }

  get milliseconds() {
    if (!document.hidden) this.#advance();
    return Math.round(this.#total);
  }

  /** Milliseconds since the labeler last did anything on the page. */
  get idle() {
    return performance.now() - this.#lastInput;
  }

  #advance() {
    const now = performance.now();
    const until = Math.min(now, this.#lastInput + idleAfter);
    if (until > this.#last) this.#total += until - this.#last;
    this.#last = now;
  }
}
