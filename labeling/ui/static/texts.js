// How prompts and completions are shown: rendered, or as the raw text; whole in either case.

import { element, rendered } from "./dom.js";
import { t } from "./i18n.js";

const wholePrompt = 140; // characters up to which a card repeats the whole line before its completion
const promptTail = 70;

const roles = { system: "label.role.system", user: "label.role.user", assistant: "label.role.assistant" };

/** What a card shows of the prompt before a completion that continues its last sentence, so that it reads in one go. */
export function leadIn(prompt, completion) {
  if (prompt.messages || /\n\s*$/.test(prompt.text) || /^\s*\n/.test(completion.text)) return ""; // a dialogue or a new paragraph
  const line = prompt.text.slice(prompt.text.lastIndexOf("\n") + 1);
  if (!(/^[ \t]/.test(completion.text) || /[ \t]$/.test(line)) || /^\s*\S+:\s*$/.test(line)) return ""; // "Assistant:"
  if (line.length <= wholePrompt) return line;
  const tail = line.slice(-promptTail);
  return `… ${tail.slice(tail.search(/\s/) + 1)}`;
}

/** The turns of a conversation, each under the name of who speaks. */
function conversation(messages, raw) {
  return element("ol", { class: "turns" }, ...messages.map((message) => {
    const name = message.role in roles ? t(roles[message.role]) : message.role;
    return element("li", { class: "turn", "data-role": message.role }, element("p", { class: "role" }, name), text(message, raw));
  }));
}

/** A text rendered from markdown, or as it is. */
function text(part, raw, attributes = {}) {
  if (raw || part.html === undefined) return element("div", { ...attributes, class: "text raw" }, element("span", { class: "continuation" }, part.text));
  return element("div", { ...attributes, class: "text rich" }, element("div", { class: "continuation" }, rendered(part.html)));
}

/** Fills node with the prompt. */
export function showPrompt(node, prompt, raw) {
  const parts = [];
  if (prompt.system) parts.push(conversation([{ role: "system", text: prompt.system }], true));
  if (prompt.messages && !raw) parts.push(conversation(prompt.messages, raw));
  else parts.push(text(prompt, raw, { id: "prompt-text" }));
  node.replaceChildren(...parts);
}

/** Fills node with the completion. */
export function showCompletion(node, prompt, completion, raw) {
  const lead = leadIn(prompt, completion);
  if (completion.text.trim() === "") {
    node.replaceChildren(element("p", { class: "text raw" }, lead === "" ? "" : element("span", { class: "lead" }, lead),
      element("span", { class: "nothing" }, completion.text === "" ? t("label.nothing") : t("label.blank"))));
  } else if (lead !== "") {
    node.replaceChildren(element("p", { class: "text raw" }, element("span", { class: "lead" }, lead), element("span", { class: "continuation" }, completion.text)));
  } else if (completion.messages && !raw) {
    node.replaceChildren(conversation(completion.messages, raw));
  } else {
    node.replaceChildren(text(completion, raw));
  }
}
