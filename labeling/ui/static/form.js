// What is asked besides the ranking: of each response a rating from 1 to 7 and questions with yes or no, then of the whole
// how sure one is, and flags. Nothing has an answer before the labeler gives one.

import { element } from "./dom.js";
import { language, listing, t } from "./i18n.js";

export const reasons = {
  nonsense: "label.reason.nonsense",
  unsafe: "label.reason.unsafe",
  too_hard: "label.reason.too_hard",
  all_bad: "label.reason.all_bad",
  personal_data: "label.reason.personal_data",
  other: "label.reason.other",
};

let groups = 0; // radio buttons belong together by name

/** Radio buttons in a row. A group that need not be answered is cleared by choosing its choice again. */
export function choices(legend, options, value, changed, { optional = false, ends = null } = {}) {
  const name = `group-${groups++}`;
  const row = element("div", { class: "segments" });
  const set = element("fieldset", { class: "asked" }, element("legend", {}, legend), row);
  let now = value ?? null;
  for (const [key, label] of options) {
    const input = element("input", { type: "radio", name, value: key });
    input.checked = now === key;
    input.addEventListener("click", () => {
      if (now === key && optional) {
        input.checked = false;
        now = null;
        changed(null);
      }
    });
    input.addEventListener("change", () => {
      now = key;
      changed(key);
    });
    row.append(element("label", { class: "segment" }, input, element("span", {}, label)));
  }
  if (ends) set.append(element("p", { class: "ends-of-scale", "aria-hidden": "true" }, element("span", {}, ends[0]), element("span", {}, ends[1])));
  return set;
}

const questionText = (question) => question.text[language] || question.text.en || question.key;

export class Form {
  /**
   * @param {{rate: boolean, questions: {key: string, text: object}[], confidence: boolean}} form
   * @param {string[]} slots
   * @param {() => void} changed
   */
  constructor(form, slots, changed) {
    this.form = form;
    this.slots = slots;
    this.changed = changed;
    this.ratings = Object.fromEntries(slots.map((slot) => [slot, {}]));
    this.confidence = null;
    this.flags = new Set();
    this.boxes = new Map(); // what asks of each slot
  }

  /** Whether each response is asked about before the ranking. */
  get rates() {
    return this.form.rate || this.form.questions.length > 0;
  }

  /** Takes answers from a draft or an earlier ranking; what was not asked is left out. */
  restore({ ratings, confidence, flags } = {}) {
    const keys = [...(this.form.rate ? ["overall"] : []), ...this.form.questions.map((question) => question.key)];
    for (const slot of this.slots) {
      this.ratings[slot] = Object.fromEntries(Object.entries(ratings?.[slot] ?? {}).filter(([key, value]) => keys.includes(key) && Number.isInteger(value)));
      if (this.boxes.has(slot)) this.#fill(slot);
    }
    this.confidence = this.form.confidence && Number.isInteger(confidence) ? confidence : null;
    this.flags = new Set((flags ?? []).filter((flag) => flag in reasons));
  }

  answers() {
    return { ratings: this.rates ? structuredClone(this.ratings) : {}, confidence: this.confidence, flags: [...this.flags] };
  }

  /** Whether everything asked of a response has an answer. */
  complete(slot) {
    const answers = this.ratings[slot];
    return (!this.form.rate || answers.overall !== undefined) && this.form.questions.every((question) => answers[question.key] !== undefined);
  }

  missing() {
    return this.slots.filter((slot) => !this.complete(slot));
  }

  rate(slot, value) {
    if (!this.form.rate || value < 1 || value > 7) return false;
    this.ratings[slot].overall = value;
    this.#fill(slot);
    this.changed();
    return true;
  }

  /** The questions about one response, for its card. */
  box(slot) {
    const box = element("div", { class: "ratings" });
    this.boxes.set(slot, box);
    this.#fill(slot);
    return box;
  }

  #fill(slot) {
    const answers = this.ratings[slot];
    const set = (key) => (value) => {
      answers[key] = value;
      this.changed();
    };
    const parts = [];
    if (this.form.rate) {
      parts.push(choices(t("label.rate", { slot }), [1, 2, 3, 4, 5, 6, 7].map((n) => [n, String(n)]), answers.overall, set("overall"), { ends: [t("label.rate.low"), t("label.rate.high")] }));
    }
    for (const question of this.form.questions) {
      parts.push(choices(questionText(question), [[1, t("label.yes")], [0, t("label.no")]], answers[question.key], set(question.key)));
    }
    this.boxes.get(slot).replaceChildren(...parts);
  }

  /** The answers about one response in a line, for the card in the ranking. */
  summary(slot) {
    const answers = this.ratings[slot];
    const yes = this.form.questions.filter((question) => answers[question.key] === 1).map(questionText);
    const parts = [];
    if (answers.overall !== undefined) parts.push(t("label.rated", { n: answers.overall }));
    if (yes.length > 0) parts.push(t("label.rated.yes", { list: listing(yes) }));
    return parts.join(" · ");
  }

  /** What is asked of the whole: how sure one is, where the project asks, and flags. */
  whole() {
    const parts = [];
    if (this.form.confidence) {
      parts.push(choices(t("label.confidence"), [1, 2, 3, 4, 5].map((n) => [n, String(n)]), this.confidence, (value) => {
        this.confidence = value;
        this.changed();
      }, { optional: true, ends: [t("label.confidence.low"), t("label.confidence.high")] }));
    }
    const boxes = Object.entries(reasons).map(([flag, key]) => {
      const input = element("input", { type: "checkbox", value: flag });
      input.checked = this.flags.has(flag);
      input.addEventListener("change", () => {
        if (input.checked) this.flags.add(flag);
        else this.flags.delete(flag);
        this.changed();
      });
      return element("label", { class: "segment" }, input, element("span", {}, t(key)));
    });
    const details = element("details", { class: "flags" }, element("summary", {}, t("label.flag")),
      element("fieldset", { class: "asked" }, element("legend", { class: "unseen" }, t("label.flag")), element("div", { class: "segments wrap" }, ...boxes)));
    details.open = this.flags.size > 0;
    parts.push(details);
    return parts;
  }
}
