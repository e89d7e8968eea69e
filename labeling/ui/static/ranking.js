// A ranking in the making: which completion stands in which of the numbered places 1..K, K the number of completions.
// Several in one place are a tie; a place may stay empty, since only the order counts. No DOM in here.

export class Ranking {
  /** @param {string[]} slots the completions' letters in the server's order */
  constructor(slots) {
    this.slots = [...slots];
    this.places = new Map(slots.map((slot) => [slot, 0])); // 0 = not placed
  }

  get size() {
    return this.slots.length;
  }

  get complete() {
    return this.unplaced().length === 0;
  }

  get empty() {
    return this.unplaced().length === this.size;
  }

  placeOf(slot) {
    return this.places.get(slot);
  }

  at(place) {
    return this.slots.filter((slot) => this.places.get(slot) === place);
  }

  unplaced() {
    return this.at(0);
  }

  tied(slot) {
    const place = this.placeOf(slot);
    return place > 0 && this.at(place).length > 1;
  }

  /** Puts the slot in a place beside whatever stands there; 0 takes it back out. */
  put(slot, place) {
    if (!this.places.has(slot) || !Number.isInteger(place) || place < 0 || place > this.size) return false;
    if (this.places.get(slot) === place) return false;
    this.places.set(slot, place);
    return true;
  }

  /** Puts the slot alone between the places above and above+1, pushing others along where no room is left. */
  insert(slot, above) {
    this.places.set(slot, 0); // so that at least one of the K places is free
    const free = (place) => place >= 1 && place <= this.size && this.at(place).length === 0;
    if (free(above + 1)) return this.put(slot, above + 1);
    if (free(above)) return this.put(slot, above);
    for (let place = above + 2; place <= this.size; place++) {
      if (free(place)) {
        this.#shift(above + 1, place - 1, +1);
        return this.put(slot, above + 1);
      }
    }
    let place = above - 1;
    while (!free(place)) place--;
    this.#shift(place + 1, above, -1);
    return this.put(slot, above);
  }

  canUp(slot) {
    return this.placeOf(slot) !== 1 || this.tied(slot);
  }

  canDown(slot) {
    return this.placeOf(slot) !== this.size || this.tied(slot);
  }

  canTie(slot) {
    return this.slots.some((other) => other !== slot && this.placeOf(other) > 0);
  }

  /** Up: out of a tie to just above it, else past the place above; one not placed takes the first free place. */
  up(slot) {
    if (!this.canUp(slot)) return false;
    const place = this.placeOf(slot);
    if (place === 0) return this.put(slot, this.#firstFree());
    if (this.tied(slot)) return this.insert(slot, place - 1);
    return this.#swap(place, place - 1);
  }

  /** Down: the mirror of up; one not placed takes the last free place. */
  down(slot) {
    if (!this.canDown(slot)) return false;
    const place = this.placeOf(slot);
    if (place === 0) return this.put(slot, this.#lastFree());
    if (this.tied(slot)) return this.insert(slot, place);
    return this.#swap(place, place + 1);
  }

  /** Tie: joins the nearest occupied place above, or below when there is none above; out of a tie it leaves downwards. */
  tie(slot) {
    if (!this.canTie(slot)) return false;
    const place = this.placeOf(slot);
    if (this.tied(slot)) return this.insert(slot, place);
    const used = this.#used().filter((other) => other !== place);
    const above = used.filter((other) => place === 0 || other < place);
    return this.put(slot, above.length > 0 ? above[above.length - 1] : used[0]);
  }

  /** Dense ranks by slot, 1 the best, as the server wants them: empty places do not count. */
  ranks() {
    const used = this.#used();
    return Object.fromEntries(this.slots.map((slot) => [slot, used.indexOf(this.placeOf(slot)) + 1]));
  }

  snapshot() {
    return Object.fromEntries(this.places);
  }

  /** Takes back a snapshot, also one of unknown origin: what does not fit is left unplaced. */
  restore(snapshot) {
    for (const slot of this.slots) {
      const place = snapshot?.[slot];
      this.places.set(slot, Number.isInteger(place) && place >= 0 && place <= this.size ? place : 0);
    }
  }

  #used() {
    return [...new Set(this.places.values())].filter((place) => place > 0).sort((a, b) => a - b);
  }

  #firstFree() {
    let place = 1;
    while (this.at(place).length > 0) place++;
    return place;
  }

  #lastFree() {
    let place = this.size;
    while (this.at(place).length > 0) place--;
    return place;
  }

  #shift(from, to, by) {
    for (const [slot, place] of this.places) {
      if (place >= from && place <= to) this.places.set(slot, place + by);
    }
  }

  #swap(a, b) {
    for (const [slot, place] of this.places) {
      if (place === a) this.places.set(slot, b);
      else if (place === b) this.places.set(slot, a);
    }
    return true;
  }
}
