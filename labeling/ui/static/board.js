// The board: the pool, the places and the cards; every way of moving a card ends in Board.act.

import { Card } from "./card.js";
import { enableDragging } from "./drag.js";
import { announce, element, glide } from "./dom.js";
import { listing, t } from "./i18n.js";
import { Ranking } from "./ranking.js";

const arrows = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };

export class Board {
  /** @param {{changed: () => void, submit: () => void}} page */
  constructor(page) {
    this.page = page;
    this.root = document.querySelector(".board");
    this.pool = document.getElementById("pool-cards");
    this.poolEmpty = document.getElementById("pool-empty");
    this.list = document.getElementById("places");
    this.ranking = new Ranking([]);
    this.cards = new Map();
    this.history = [];
    this.locked = false; // while a submission is under way
    enableDragging(this.root, {
      size: () => this.ranking.size,
      occupied: (place, except) => this.ranking.at(place).some((slot) => slot !== except),
      drop: (slot, target) => (target.place !== undefined ? this.act(slot, "put", target.place) : this.act(slot, "insert", target.above)),
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Lays out a task; snapshot is the draft's ranking, or undefined for none. */
  open(task, snapshot) {
    this.ranking = new Ranking(task.completions.map((completion) => completion.slot));
    this.ranking.restore(snapshot);
    this.history = [];
    this.cards = new Map(task.completions.map((completion) => [completion.slot, new Card(completion, task.prompt.text, this.ranking.size, (...step) => this.act(...step))]));
    this.rows = [];
    for (let place = 1; place <= this.ranking.size; place++) {
      const cards = element("ul", { class: "cards" });
      const numeral = element("span", { class: "numeral", "aria-hidden": "true" }, String(place));
      const vacant = element("span", { class: "vacant" });
      const row = element("li", { class: "place", "data-place": place, "data-tie": t("label.tie") }, numeral, vacant, cards);
      this.rows.push({ row, vacant, cards });
    }
    this.pool.replaceChildren();
    this.list.replaceChildren(...this.rows.map(({ row }) => row));
    this.#render();
  }

  /** Takes a ranking made elsewhere, such as in another tab. */
  adopt(snapshot) {
    this.ranking.restore(snapshot);
    this.#render();
  }

  focusFirst() {
    const slot = this.ranking.unplaced()[0] ?? this.ranking.slots[0];
    this.cards.get(slot)?.article.focus({ preventScroll: true });
  }

  /** Does one step: put (place), insert (above), up, down, tie. */
  act(slot, action, place) {
    if (this.locked || !this.ranking.places.has(slot)) return false;
    const before = this.ranking.snapshot();
    if (action === "put" && this.ranking.placeOf(slot) === place) place = 0; // the pressed number again takes it out
    const changed = this.ranking[action](slot, place) && !equal(before, this.ranking.snapshot());
    if (!changed) return false;
    this.history.push(before);
    this.#render(true);
    announce(this.#report(slot));
    this.page.changed();
    return true;
  }

  undo() {
    if (this.locked || this.history.length === 0) return;
    this.ranking.restore(this.history.pop());
    this.#render(true);
    announce(t("label.undone", { left: this.#left() }));
    this.page.changed();
  }

  #report(slot) {
    const place = this.ranking.placeOf(slot);
    const left = this.#left();
    if (place === 0) return t("label.takenout", { slot, left });
    const others = this.ranking.at(place).filter((other) => other !== slot);
    if (others.length === 0) return t("label.inplace", { slot, n: place, left });
    return t("label.inplace.tied", { slot, n: place, list: listing(others), left });
  }

  #left() {
    const n = this.ranking.unplaced().length;
    return n === 0 ? t("label.left.none") : t("label.left", { n });
  }

  #render(moving = false) {
    const active = document.activeElement;
    const arrange = () => {
      fill(this.pool, this.ranking.unplaced().map((slot) => this.cards.get(slot).item));
      this.rows.forEach(({ row, vacant, cards }, i) => {
        const slots = this.ranking.at(i + 1);
        fill(cards, slots.map((slot) => this.cards.get(slot).item));
        vacant.textContent = this.ranking.complete ? t("label.vacant.complete") : t("label.vacant", { n: i + 1 });
        row.classList.toggle("filled", slots.length > 0);
        row.classList.toggle("tied", slots.length > 1);
      });
      for (const card of this.cards.values()) card.update(this.ranking);
      this.poolEmpty.hidden = !this.ranking.complete;
      this.poolEmpty.textContent = t("label.pool.empty", { n: this.ranking.size });
    };
    if (moving) glide([...this.cards.values()].map((card) => card.article), arrange);
    else arrange();
    if (active !== document.activeElement && this.root.contains(active)) active.focus({ preventScroll: true }); // moving an element drops its focus
  }

  #key(event) {
    if (event.defaultPrevented || this.cards.size === 0 || document.querySelector("dialog[open], :popover-open")) return;
    if (event.target.closest("input, textarea, select")) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#step(event)) event.preventDefault();
  }

  /** Carries out the key and reports whether it was one of the board's. */
  #step(event) {
    const slot = event.target.closest(".card")?.dataset.slot;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    if (key in arrows) {
      if (!event.shiftKey) this.#walk(slot, arrows[key]);
      else if (slot) this.#move(slot, arrows[key] < 0 ? "up" : "down");
      return true;
    }
    if (key === "Enter") {
      if (event.target.closest("button, a") || event.repeat) return false;
      this.page.submit();
      return true;
    }
    if (key === "Z") return this.undo(), true;
    if (this.cards.has(key)) return this.#focus(key), true;
    if (!/^[0-9T]$|^Backspace$|^Delete$/.test(key)) return false;
    if (!slot) announce(t("label.choosefirst"));
    else if (key === "T") this.#move(slot, "tie");
    else this.#place(slot, /\d/.test(key) ? Number(key) : 0, event.target);
    return true;
  }

  #place(slot, place, target) {
    if (place > this.ranking.size) {
      announce(t("label.onlyplaces", { n: this.ranking.size }));
      return;
    }
    const first = this.ranking.placeOf(slot) === 0;
    if (place === this.ranking.placeOf(slot) || !this.act(slot, "put", place)) return;
    const rest = this.ranking.unplaced();
    const next = rest.find((other) => other > slot) ?? rest[0];
    if (first && next && target.matches(".card")) this.#focus(next); // on to the next one still to place
    else this.#show(slot);
  }

  #move(slot, action) {
    if (!this.act(slot, action)) announce(t("label.nofurther", { slot }));
    else this.#show(slot);
  }

  #walk(slot, by) {
    const cards = [...this.root.querySelectorAll(".card")];
    const at = cards.findIndex((card) => card.dataset.slot === slot);
    const to = at < 0 ? (by > 0 ? 0 : cards.length - 1) : Math.min(Math.max(at + by, 0), cards.length - 1);
    this.#focus(cards[to].dataset.slot);
  }

  #focus(slot) {
    this.cards.get(slot).article.focus({ preventScroll: true });
    this.#show(slot);
  }

  #show(slot) {
    this.cards.get(slot).article.scrollIntoView({ block: "nearest" });
  }
}

/** Makes the list hold exactly these items in this order, moving only those out of place. */
function fill(list, items) {
  items.forEach((item, i) => {
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
}

function equal(a, b) {
  return Object.keys(a).every((slot) => a[slot] === b[slot]);
}
