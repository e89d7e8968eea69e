// How the task is shown: side by side or stacked, rendered or raw; and whether letters are keys. The choice is kept in this browser; without one, long
// responses stand side by side, where there is room, and short ones are stacked.

const name = "rlhf.view";
const narrow = 760; // px of a window in which one response fills the width
const long = 280; // characters of a completion

const at = (id) => document.getElementById(id);

export class View {
  #choice = { layout: "", raw: false, letters: true };
  #side = false;

  /** @param {(what: "layout" | "raw" | "letters") => void} changed */
  constructor(changed) {
    this.changed = changed;
    try {
      this.#choice = { ...this.#choice, ...JSON.parse(localStorage.getItem(name)) };
    } catch {
      // Then the choice is none.
    }
    for (const [id, layout] of [["view-side", "side"], ["view-stacked", "stacked"]]) at(id).addEventListener("click", () => this.#choose({ layout }, "layout"));
    at("view-raw").addEventListener("click", () => this.toggleRaw());
    at("letters").addEventListener("change", () => this.#choose({ letters: at("letters").checked }, "letters"));
    this.#show();
  }

  /** Whether letters are keys wherever the focus is. WCAG 2.1.4 asks for a way to switch that off. */
  get letters() {
    return this.#choice.letters;
  }

  get side() {
    return this.#side;
  }

  get raw() {
    return this.#choice.raw;
  }

  /** Finds the layout for a task. */
  fit(task) {
    const rates = task.form && (task.form.rate || task.form.questions.length > 0);
    this.#side = this.#choice.layout ? this.#choice.layout === "side" : innerWidth > narrow && (rates || task.completions.some(({ text }) => text.length > long || text.trim().includes("\n")));
    this.#show();
  }

  turn() {
    this.#choose({ layout: this.#side ? "stacked" : "side" }, "layout");
  }

  toggleRaw() {
    this.#choose({ raw: !this.raw }, "raw");
  }

  #choose(choice, what) {
    this.#choice = { ...this.#choice, ...choice };
    if (this.#choice.layout) this.#side = this.#choice.layout === "side";
    try {
      localStorage.setItem(name, JSON.stringify(this.#choice));
    } catch {
      // Then it holds for this page.
    }
    this.#show();
    this.changed(what);
  }

  #show() {
    at("task").classList.toggle("side", this.#side);
    at("strip").hidden = !this.#side;
    at("view-side").setAttribute("aria-pressed", String(this.#side));
    at("view-stacked").setAttribute("aria-pressed", String(!this.#side));
    at("view-raw").setAttribute("aria-pressed", String(this.raw));
    at("letters").checked = this.letters;
    at("keys").hidden = !this.letters;
  }
}
