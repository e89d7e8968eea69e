// The board: the pool, the places and the cards; every way of moving a card ends in Board.act. Stacked, the cards themselves
// lie in the places; side by side, the cards stay where they are, to be read, and their letters lie in the places of a strip.

import { Card } from "./card.js";
import { enableDragging } from "./drag.js";
import { announce, element, glide } from "./dom.js";
import { listing, t } from "./i18n.js";
import { Ranking } from "./ranking.js";

const arrows = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };

export class Board {
  /**
   * @param {{changed: () => void, enter: () => void, digit: (slot: string, n: number) => boolean, read: (slot: string) => boolean,
   *   ranking: () => boolean, letters: () => boolean}} page  enter submits or goes on; digit may take a number for itself; read says whether a
   *   completion has been read through; ranking whether the ranking is what is asked for at the moment; letters whether
   *   letters are keys wherever the focus is
   */
  constructor(page) {
    this.page = page;
    this.root = document.querySelector(".board");
    this.pool = document.getElementById("pool-cards");
    this.poolEmpty = document.getElementById("pool-empty");
    this.list = document.getElementById("places");
    this.strip = document.getElementById("strip");
    this.ranking = new Ranking([]);
    this.cards = new Map();
    this.history = [];
    this.locked = false; // while a submission is under way
    this.side = false;
    enableDragging(document, {
      size: () => this.ranking.size,
      occupied: (place, except) => this.ranking.at(place).some((slot) => slot !== except),
      may: () => !this.locked && this.page.ranking(),
      side: () => this.side,
      drop: (slot, target) => (target.place !== undefined ? this.act(slot, "put", target.place, true) : this.act(slot, "insert", target.above)),
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Lays out a task; snapshot is the draft's ranking, or undefined for none. */
  open(task, form, snapshot, raw) {
    this.ranking = new Ranking(task.completions.map((completion) => completion.slot));
    this.ranking.restore(snapshot);
    this.history = [];
    this.cards = new Map(task.completions.map((completion) => [completion.slot, new Card(completion, task, form, (...step) => this.act(...step))]));
    for (const card of this.cards.values()) {
      card.show(raw);
      card.token.addEventListener("click", (event) => {
        if (event.detail < 2 && !card.token.dataset.dragged) this.#focus(card.slot);
        delete card.token.dataset.dragged;
      });
    }
    this.rows = [];
    this.slots = [];
    for (let place = 1; place <= this.ranking.size; place++) {
      const cards = element("ul", { class: "cards" });
      const vacant = element("span", { class: "vacant" });
      const numeral = element("span", { class: "numeral", "aria-hidden": "true" }, String(place));
      this.rows.push({ row: element("li", { class: "place", "data-place": place, "data-tie": t("label.tie") }, numeral, vacant, cards), vacant, cards });
      const tokens = element("ul", { class: "tokens", "aria-label": t("label.strip.place", { n: place }) });
      this.slots.push({ row: element("li", { class: "strip-place", "data-place": place }, numeral.cloneNode(true), tokens), tokens });
    }
    this.pool.replaceChildren();
    this.list.replaceChildren(...this.rows.map(({ row }) => row));
    this.strip.replaceChildren(...this.slots.map(({ row }) => row));
    this.render();
  }

  /** Shows the cards side by side, or stacked. */
  arrange(side) {
    this.side = side;
    if (this.cards.size > 0) this.render();
  }

  show(raw) {
    for (const card of this.cards.values()) card.show(raw);
  }

  /** Takes a ranking made elsewhere, such as in another tab. */
  adopt(snapshot) {
    this.ranking.restore(snapshot);
    this.render();
  }

  focusFirst() {
    const slot = this.ranking.unplaced()[0] ?? this.ranking.slots[0];
    this.cards.get(slot)?.article.focus({ preventScroll: true });
  }

  /** The letter of the card in focus. */
  get focused() {
    return document.activeElement?.closest(".card")?.dataset.slot;
  }

  focus(slot) {
    this.#focus(slot);
  }

  /** Does one step: put (place), insert (above), up, down, tie. A number pressed again takes its card out. */
  act(slot, action, place, dropped = false) {
    if (this.locked || !this.ranking.places.has(slot)) return false;
    const before = this.ranking.snapshot();
    if (action === "put" && !dropped && this.ranking.placeOf(slot) === place) place = 0;
    const changed = this.ranking[action](slot, place) && !equal(before, this.ranking.snapshot());
    if (!changed) return false;
    this.history.push(before);
    this.render(true);
    announce(this.#report(slot));
    this.page.changed();
    return true;
  }

  undo() {
    if (this.locked || this.history.length === 0) return;
    this.ranking.restore(this.history.pop());
    this.render(true);
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

  render(moving = false) {
    const active = document.activeElement;
    const arrange = () => {
      const { ranking, cards } = this;
      const stays = this.side || !this.page.ranking(); // the cards lie in the pool in their order
      fill(this.pool, (stays ? ranking.slots : ranking.unplaced()).map((slot) => cards.get(slot).item));
      this.rows.forEach(({ row, vacant, cards: list }, i) => {
        const slots = ranking.at(i + 1);
        fill(list, stays ? [] : slots.map((slot) => cards.get(slot).item));
        vacant.textContent = ranking.complete ? t("label.vacant.complete") : t("label.vacant", { n: i + 1 });
        row.classList.toggle("filled", slots.length > 0);
        row.classList.toggle("tied", slots.length > 1);
      });
      this.slots.forEach(({ row, tokens }, i) => {
        const slots = ranking.at(i + 1);
        fill(tokens, slots.map((slot) => cards.get(slot).tokenItem));
        row.classList.toggle("filled", slots.length > 0);
        row.classList.toggle("tied", slots.length > 1);
      });
      for (const card of cards.values()) {
        if (ranking.placeOf(card.slot) === 0) card.tokenItem.remove();
        card.update(ranking, this.page.read(card.slot));
      }
      this.poolEmpty.hidden = !ranking.complete || stays;
      this.poolEmpty.textContent = t("label.pool.empty", { n: ranking.size });
    };
    if (moving) glide([...this.cards.values()].map((card) => (this.side ? card.token : card.article)), arrange);
    else arrange();
    if (active !== document.activeElement && active?.isConnected && (this.root.contains(active) || this.strip.contains(active))) active.focus({ preventScroll: true }); // moving an element drops its focus
  }

  #key(event) {
    if (event.defaultPrevented || this.cards.size === 0 || document.querySelector("dialog[open], :popover-open")) return;
    if (event.target.closest("textarea, select, input:not([type=radio], [type=checkbox])")) return;
    if (event.target.closest("input") && /^Arrow|^ $/.test(event.key)) return; // a group of radio buttons has the arrows
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
    const slot = event.target.closest(".card, .token")?.dataset.slot;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    if (key in arrows) {
      if (!event.shiftKey) this.#walk(slot, arrows[key]);
      else if (slot) this.#move(slot, arrows[key] < 0 ? "up" : "down");
      return true;
    }
    if (key === "Enter") {
      if (event.target.closest("button, a, summary") || event.repeat) return false;
      this.page.enter();
      return true;
    }
    if (!slot && !this.page.letters()) return false;
    if (key === "Z" && this.page.letters()) return this.undo(), true;
    if (this.cards.has(key) && this.page.letters()) return this.#focus(key), true;
    if (!/^[0-9T]$|^Backspace$|^Delete$/.test(key)) return false;
    if (!slot) announce(t("label.choosefirst"));
    else if (/\d/.test(key) && this.page.digit(slot, Number(key))) return true;
    else if (!this.page.ranking()) return false;
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
    if (!this.page.ranking()) return;
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
    this.cards.get(slot).article.scrollIntoView({ block: "nearest", inline: "nearest" });
    dispatchEvent(new Event("scroll")); // what is on the screen now counts as seen at once
  }
}

/** Makes the list hold exactly these items in this order, moving only those out of place. */
function fill(list, items) {
  items.forEach((item, i) => {
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
  while (list.children.length > items.length) list.lastElementChild.remove();
}

function equal(a, b) {
  return Object.keys(a).every((slot) => a[slot] === b[slot]);
}
