// A card: one completion with its letter, its text and the controls that place it.

import { element, icon } from "./dom.js";
import { listing, t } from "./i18n.js";

const wholePrompt = 140; // characters up to which a card repeats the whole prompt before its completion
const promptTail = 70;

/** What a card shows of the prompt before the completion, so that the continuation reads in one go. */
export function leadIn(prompt, completion) {
  if (prompt === "" || /\n\s*$/.test(prompt) || /^\s*\n/.test(completion)) return ""; // a dialogue or a new paragraph
  const line = prompt.slice(prompt.lastIndexOf("\n") + 1);
  if (line.length <= wholePrompt) return line;
  const tail = line.slice(-promptTail);
  return `… ${tail.slice(tail.search(/\s/) + 1)}`;
}

export class Card {
  /**
   * @param {{slot: string, text: string}} completion
   * @param {string} prompt
   * @param {number} size the number of places
   * @param {(slot: string, action: string, place?: number) => void} act
   */
  constructor(completion, prompt, size, act) {
    const { slot, text } = completion;
    this.slot = slot;
    const lead = leadIn(prompt, text);
    const body = element("p", { class: "text", id: `text-${slot}` });
    if (lead !== "") body.append(element("span", { class: "lead" }, lead));
    if (text.trim() === "") body.append(element("span", { class: "nothing" }, text === "" ? t("label.nothing") : t("label.blank")));
    else body.append(element("span", { class: "continuation" }, text));

    this.chips = [];
    const chips = element("div", { class: "chips", role: "group", "aria-label": t("label.card.place", { slot }) });
    for (let place = 1; place <= size; place++) {
      const chip = element("button", { type: "button", class: "chip", "aria-label": t("label.card.put", { slot, n: place }), "aria-pressed": "false", "data-to": place }, String(place));
      chip.addEventListener("click", (event) => {
        if (event.detail < 2) act(slot, "put", place); // a double click must not hit the card that moves up beneath it
      });
      this.chips.push(chip);
      chips.append(chip);
    }
    const move = (action, title, label) => {
      const button = element("button", { type: "button", class: "move", "aria-label": label, title, "data-move": action }, icon(action));
      button.addEventListener("click", () => act(slot, action));
      return button;
    };
    this.up = move("up", t("label.card.up"), t("label.card.up.slot", { slot }));
    this.down = move("down", t("label.card.down"), t("label.card.down.slot", { slot }));
    this.tie = move("tie", t("label.card.tie"), t("label.card.tie.slot", { slot }));
    this.status = element("span", { class: "status" });
    const handle = element("div", { class: "handle", title: t("label.card.drag") }, icon("grip"), element("span", { class: "letter", "aria-hidden": "true" }, slot), this.status);
    const controls = element("div", { class: "controls" }, chips, element("div", { class: "moves", role: "group", "aria-label": t("label.card.move", { slot }) }, this.up, this.down, this.tie));
    this.article = element("article", { class: "card", tabindex: "0", "data-slot": slot, "aria-describedby": `text-${slot}` }, element("div", { class: "head" }, handle, controls), body);
    this.item = element("li", {}, this.article);
  }

  /** Shows where the card stands. */
  update(ranking) {
    const place = ranking.placeOf(this.slot);
    const others = place > 0 ? ranking.at(place).filter((slot) => slot !== this.slot) : [];
    const tied = others.length > 0;
    const values = { slot: this.slot, n: place, list: listing(others) };
    this.status.textContent = tied ? t("label.card.tied", values) : "";
    this.article.classList.toggle("placed", place > 0);
    this.article.setAttribute("aria-label", place === 0 ? t("label.card.unplaced", values) : tied ? t("label.card.placed.tied", values) : t("label.card.placed", values));
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(i + 1 === place)));
    able(this.up, ranking.canUp(this.slot));
    able(this.down, ranking.canDown(this.slot));
    able(this.tie, ranking.canTie(this.slot));
    this.tie.setAttribute("aria-pressed", String(tied));
    this.tie.setAttribute("aria-label", tied ? t("label.card.untie.slot", values) : t("label.card.tie.slot", values));
    this.tie.title = tied ? t("label.card.untie") : t("label.card.tie");
  }
}

// aria-disabled rather than disabled: the button keeps the focus when its card reaches the top.
function able(button, yes) {
  button.setAttribute("aria-disabled", String(!yes));
}
