// Other tabs of this browser that show the same task: they share its draft as it changes, and its end.

const at = (id) => document.getElementById(id);

export class Tabs {
  #channel;

  /**
   * @param {string} user
   * @param {{task: () => string | undefined, draft: (body: object, version: number) => void, done: () => void}} page
   */
  constructor(user, page) {
    if (typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel(`rlhf ${user}`);
    this.#channel.onmessage = ({ data }) => {
      if (data.task !== page.task()) return;
      if (data.type === "draft") page.draft(data.body, data.version);
      if (data.type === "done") page.done();
      if (data.type === "here") this.tell({ type: "too", task: data.task });
      if (data.type === "here" || data.type === "too") at("tabs").hidden = false;
      if (data.type === "gone") at("tabs").hidden = true;
    };
    addEventListener("pagehide", () => this.tell({ type: "gone", task: page.task() }));
  }

  tell(message) {
    if (message.type === "here") at("tabs").hidden = true; // until another tab answers
    this.#channel?.postMessage(message);
  }
}
