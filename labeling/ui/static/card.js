// A card: one completion with its letter, its text, what is asked about it, and the controls that place it.

import { element, icon } from "./dom.js";
import { listing, t } from "./i18n.js";
import { showCompletion } from "./texts.js";

export class Card {
  /**
   * @param {{slot: string, text: string, html?: string}} completion
   * @param {{prompt: object, completions: object[]}} task
   * @param {import("./form.js").Form} form
   * @param {(slot: string, action: string, place?: number) => void} act
   */
  constructor(completion, task, form, act) {
    const { slot } = completion;
    const size = task.completions.length;
    this.slot = slot;
    this.completion = completion;
    this.prompt = task.prompt;
    this.form = form;
    this.body = element("div", { class: "body", id: `text-${slot}` });
    this.end = element("div", { class: "end", "aria-hidden": "true" });
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
    this.seen = element("span", { class: "seen" });
    const handle = element("div", { class: "handle", title: t("label.card.drag") }, icon("grip"), element("span", { class: "letter", "aria-hidden": "true" }, slot), this.seen, this.status);
    const controls = element("div", { class: "controls" }, chips, element("div", { class: "moves", role: "group", "aria-label": t("label.card.move", { slot }) }, this.up, this.down, this.tie));
    this.rated = element("p", { class: "rated" });
    this.article = element("article", { class: "card", tabindex: "0", "data-slot": slot, "aria-describedby": `text-${slot}` },
      element("div", { class: "head" }, handle, controls), this.rated, this.body, form.rates ? form.box(slot) : "", this.end);
    this.item = element("li", {}, this.article);
    this.token = element("button", { type: "button", class: "token", "data-slot": slot }, slot);
    this.tokenItem = element("li", {}, this.token);
  }

  /** Shows the text rendered or raw. */
  show(raw) {
    showCompletion(this.body, this.prompt, this.completion, raw);
  }

  /** Shows where the card stands, and whether it has been read through. */
  update(ranking, read) {
    const place = ranking.placeOf(this.slot);
    const others = place > 0 ? ranking.at(place).filter((slot) => slot !== this.slot) : [];
    const tied = others.length > 0;
    const values = { slot: this.slot, n: place, list: listing(others) };
    this.status.textContent = tied ? t("label.card.tied", values) : "";
    this.article.classList.toggle("placed", place > 0);
    const label = place === 0 ? t("label.card.unplaced", values) : tied ? t("label.card.placed.tied", values) : t("label.card.placed", values);
    this.article.setAttribute("aria-label", label);
    this.token.setAttribute("aria-label", label);
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(i + 1 === place)));
    able(this.up, ranking.canUp(this.slot));
    able(this.down, ranking.canDown(this.slot));
    able(this.tie, ranking.canTie(this.slot));
    this.tie.setAttribute("aria-pressed", String(tied));
    this.tie.setAttribute("aria-label", tied ? t("label.card.untie.slot", values) : t("label.card.tie.slot", values));
    this.tie.title = tied ? t("label.card.untie") : t("label.card.tie");
    this.read(read);
    this.rated.textContent = this.form.summary(this.slot);
  }

  read(yes) {
    if (this.seen.dataset.read === String(yes)) return;
    this.seen.dataset.read = String(yes);
    this.seen.title = yes ? t("label.read") : t("label.unread");
    this.seen.replaceChildren(yes ? "" : icon("unseen"), element("span", { class: "unseen" }, yes ? t("label.read") : t("label.unread")));
  }
}

// aria-disabled rather than disabled: the button keeps the focus when its card reaches the top.
function able(button, yes) {
  button.setAttribute("aria-disabled", String(!yes));
}
