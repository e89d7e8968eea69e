// Dragging cards with mouse, pen or finger. It decides where a card would land and shows it; what a drop means is
// the board's business. A finger drags by the card's handle, so that the page still scrolls; a mouse takes the whole card.

const threshold = 6; // px of movement that make a press a drag
const edge = 12; // px at the rim of an occupied place that mean "between the places"
const scrollZone = 90; // px at the top and bottom of the window that scroll the page
const ghostWidth = 460;

/**
 * @param {Document} root what holds the cards, the pool (data-place 0) and the places (data-place 1..K)
 * @param {{occupied: (place: number, except: string) => boolean, size: () => number, may: () => boolean, side: () => boolean,
 *   drop: (slot: string, target: {place?: number, above?: number}) => void}} board
 */
export function enableDragging(root, board) {
  let drag = null;

  root.addEventListener("pointerdown", (event) => {
    const token = event.target.closest(".token");
    const card = token ?? event.target.closest(".board .card");
    if (!card || drag || !event.isPrimary || event.button !== 0 || !board.may()) return;
    if (!token && event.target.closest("button, a, input, label, summary, .ratings")) return;
    if (!token && event.pointerType !== "mouse" && !event.target.closest(".handle")) return;
    const box = card.getBoundingClientRect();
    drag = { card, slot: card.dataset.slot, pointer: event.pointerId, x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY, token: Boolean(token),
      dx: Math.min(event.clientX - box.left, ghostWidth - 24), dy: event.clientY - box.top, ghost: null, target: null, frame: 0 };
  });

  addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    drag.x = event.clientX;
    drag.y = event.clientY;
    if (!drag.ghost) {
      if (Math.hypot(drag.x - drag.startX, drag.y - drag.startY) < threshold) return;
      lift();
    }
    follow();
  });

  addEventListener("pointerup", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    const { slot, target, ghost } = drag;
    end();
    if (ghost && target) board.drop(slot, target);
  });

  addEventListener("pointercancel", end);
  addEventListener("blur", end);
  addEventListener("keydown", (event) => {
    if (!drag?.ghost) return;
    event.preventDefault();
    event.stopPropagation(); // keys other than Escape rest while a card hangs in the air
    if (event.key === "Escape") end();
  }, true);

  function lift() {
    const { card } = drag;
    const ghost = card.cloneNode(true);
    ghost.className = drag.token ? "token ghost" : "card ghost";
    if (drag.token) card.dataset.dragged = "true"; // the click that follows is none
    ghost.removeAttribute("tabindex");
    ghost.removeAttribute("data-slot");
    ghost.setAttribute("aria-hidden", "true");
    for (const node of ghost.querySelectorAll("[id]")) node.removeAttribute("id");
    ghost.style.width = `${Math.min(card.offsetWidth, ghostWidth)}px`;
    document.body.append(ghost);
    document.body.classList.add("dragging");
    card.classList.add("lifted");
    getSelection().removeAllRanges();
    try {
      card.setPointerCapture(drag.pointer);
    } catch {
      // The pointer may be gone already; then pointercancel follows.
    }
    drag.ghost = ghost;
    drag.frame = requestAnimationFrame(scroll);
  }

  function follow() {
    drag.ghost.style.transform = `translate(${drag.x - drag.dx}px, ${drag.y - drag.dy}px)`;
    const target = locate(drag.x, drag.y, drag.slot);
    if (same(target, drag.target)) return;
    drag.target = target;
    mark(target);
  }

  function scroll() {
    if (!drag?.ghost) return;
    if (board.side()) return; // the strip is always in sight
    const floor = document.querySelector(".bar")?.getBoundingClientRect().top || innerHeight;
    const down = drag.y - (floor - scrollZone);
    const up = scrollZone - drag.y;
    const by = down > 0 ? down : up > 0 ? -up : 0;
    if (by !== 0) {
      scrollBy(0, by / 5);
      follow();
    }
    drag.frame = requestAnimationFrame(scroll);
  }

  function end() {
    if (!drag) return;
    cancelAnimationFrame(drag.frame);
    drag.ghost?.remove();
    drag.card.classList.remove("lifted");
    document.body.classList.remove("dragging");
    mark(null);
    drag = null;
  }

  /** Where a card let go at x, y would land: {place}, {above} for between above and above+1, or null for nowhere. */
  function locate(x, y, slot) {
    const under = document.elementFromPoint(x, y);
    if (!under) return null;
    const zone = under.closest("[data-place]");
    if (board.side()) {
      if (zone?.closest(".strip")) return alongStrip(x, slot, zone);
      return drag.token && !under.closest(".strip") ? { place: 0 } : null;
    }
    if (zone) {
      const place = Number(zone.dataset.place);
      if (place === 0 || !board.occupied(place, slot)) return { place };
      const box = zone.getBoundingClientRect();
      if (y - box.top < edge) return between(place - 1, slot);
      if (box.bottom - y < edge) return between(place, slot);
      return { place };
    }
    if (!under.closest(".places")) return null;
    const rows = [...root.querySelectorAll(".place")];
    return between(rows.filter((row) => row.getBoundingClientRect().bottom <= y).length, slot);
  }

  /** The strip's places stand beside one another. */
  function alongStrip(x, slot, zone) {
    const place = Number(zone.dataset.place);
    if (!board.occupied(place, slot)) return { place };
    const box = zone.getBoundingClientRect();
    if (x - box.left < edge) return between(place - 1, slot);
    if (box.right - x < edge) return between(place, slot);
    return { place };
  }

  function between(above, slot) {
    if (above < board.size() && !board.occupied(above + 1, slot)) return { place: above + 1 };
    if (above > 0 && !board.occupied(above, slot)) return { place: above };
    return { above };
  }

  function mark(target) {
    for (const node of root.querySelectorAll(".over, .join, .line-above, .line-below")) node.classList.remove("over", "join", "line-above", "line-below");
    if (!target) return;
    const place = target.place ?? Math.max(1, target.above);
    for (const zone of root.querySelectorAll(`[data-place="${place}"]`)) {
      if (target.place !== undefined) {
        zone.classList.add("over");
        if (place > 0 && board.occupied(place, drag.slot)) zone.classList.add("join");
      } else {
        zone.classList.add(target.above === 0 ? "line-above" : "line-below");
      }
    }
  }
}

function same(a, b) {
  return a === b || (a && b && a.place === b.place && a.above === b.above);
}
