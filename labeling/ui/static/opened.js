// Which completions have been read through: the end of the text has been on the screen, once, while the page was visible.

export class Opened {
  /** @param {(slot: string) => void} changed called when a completion has been read through */
  constructor(changed) {
    this.changed = changed;
    this.ends = new Map(); // by slot, the node at the end of a text not read yet
    this.slots = new Set();
    const look = () => this.look();
    for (const type of ["scroll", "resize", "focusin", "pointerup"]) addEventListener(type, look, { passive: true, capture: true });
    document.addEventListener("visibilitychange", look);
  }

  /** Begins with a task: the nodes at the ends of its texts by slot, and the slots read before. */
  start(ends, before = []) {
    this.slots = new Set(before.filter((slot) => ends.has(slot)));
    this.ends = new Map([...ends].filter(([slot]) => !this.slots.has(slot)));
    requestAnimationFrame(() => this.look()); // the page is not laid out for the task yet
  }

  has(slot) {
    return this.slots.has(slot);
  }

  /** Notes every text whose end is on the screen, above the bar and beneath nothing else. */
  look() {
    if (document.hidden || this.ends.size === 0) return;
    const bar = document.getElementById("bar").getBoundingClientRect();
    const bottom = bar.height > 0 ? bar.top : innerHeight;
    for (const [slot, end] of this.ends) {
      const box = end.getBoundingClientRect();
      if (!end.isConnected || end.offsetParent === null || box.bottom < 0 || box.bottom > bottom + 1 || box.right <= 0 || box.left >= innerWidth) continue;
      if (covered(end, box)) continue;
      this.ends.delete(slot);
      this.slots.add(slot);
      this.changed(slot);
    }
  }
}

/** Whether something that is not the end's card lies over it, such as a panel. */
function covered(end, box) {
  const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
  const y = Math.min(Math.max(box.bottom - 1, 0), innerHeight - 1);
  return !end.closest(".card").contains(document.elementFromPoint(x, y));
}
