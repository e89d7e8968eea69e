// A card: one completion with its letter, its text and the controls that place it.

import { element, icon, listing } from "./dom.js";

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
    if (text.trim() === "") body.append(element("span", { class: "nothing" }, text === "" ? "(nothing follows)" : "(only white space follows)"));
    else body.append(element("span", { class: "continuation" }, text));

    this.chips = [];
    const chips = element("div", { class: "chips", role: "group", "aria-label": `Place of ${slot}` });
    for (let place = 1; place <= size; place++) {
      const chip = element("button", { type: "button", class: "chip", "aria-label": `Put ${slot} in place ${place}`, "aria-pressed": "false", "data-to": place }, String(place));
      chip.addEventListener("click", (event) => {
        if (event.detail < 2) act(slot, "put", place); // a double click must not hit the card that moves up beneath it
      });
      this.chips.push(chip);
      chips.append(chip);
    }
    const move = (action, label) => {
      const button = element("button", { type: "button", class: "move", "aria-label": `${label} ${slot}`, title: label, "data-move": action }, icon(action));
      button.addEventListener("click", () => act(slot, action));
      return button;
    };
    this.up = move("up", "Move up");
    this.down = move("down", "Move down");
    this.tie = move("tie", "Tie");
    this.status = element("span", { class: "status" });
    const handle = element("div", { class: "handle", title: "Drag to a place" }, icon("grip"), element("span", { class: "letter", "aria-hidden": "true" }, slot), this.status);
    const controls = element("div", { class: "controls" }, chips, element("div", { class: "moves", role: "group", "aria-label": `Move ${slot}` }, this.up, this.down, this.tie));
    this.article = element("article", { class: "card", tabindex: "0", "data-slot": slot, "aria-describedby": `text-${slot}` }, element("div", { class: "head" }, handle, controls), body);
    this.item = element("li", {}, this.article);
  }

  /** Shows where the card stands. */
  update(ranking) {
    const place = ranking.placeOf(this.slot);
    const others = place > 0 ? ranking.at(place).filter((slot) => slot !== this.slot) : [];
    const tie = others.length > 0 ? `tied with ${listing(others)}` : "";
    this.status.textContent = tie;
    this.article.classList.toggle("placed", place > 0);
    this.article.setAttribute("aria-label", `Completion ${this.slot}, ${place === 0 ? "not placed" : `place ${place}`}${tie ? `, ${tie}` : ""}`);
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(i + 1 === place)));
    able(this.up, ranking.canUp(this.slot));
    able(this.down, ranking.canDown(this.slot));
    able(this.tie, ranking.canTie(this.slot));
    this.tie.setAttribute("aria-pressed", String(others.length > 0));
    this.tie.setAttribute("aria-label", `${others.length > 0 ? "Untie" : "Tie"} ${this.slot}`);
    this.tie.title = others.length > 0 ? "Untie" : "Tie with the place above";
  }
}

// aria-disabled rather than disabled: the button keeps the focus when its card reaches the top.
function able(button, yes) {
  button.setAttribute("aria-disabled", String(!yes));
}
