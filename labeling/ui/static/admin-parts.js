// What the pages of admins and reviewers share: numbers as people read them, tables, forms, dialogs, copying.

import { signInAddress } from "./api.js";
import { announce, element } from "./dom.js";
import { language, number, t } from "./i18n.js";

export const at = (id) => document.getElementById(id);
export const known = (value) => typeof value === "number" && Number.isFinite(value);
export const none = "–";

export const count = (value) => (known(value) ? number(value) : none);
export const percent = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits).replace("-", "−")}\u202f%` : none);
/** Per cent on an axis, with a decimal where its steps need one. */
export const axisPercent = (value) => percent(value, Math.abs(100 * value - Math.round(100 * value)) > 1e-6 ? 1 : 0);
export const fixed = (value, digits = 2) => (known(value) ? value.toFixed(digits).replace("-", "−") : none);

export function duration(milliseconds) {
  if (!known(milliseconds) || milliseconds <= 0) return none;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return t("parts.seconds", { n: seconds.toFixed(seconds < 10 ? 1 : 0) });
  if (seconds < 3600) return t("parts.minutes", { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
  return t("parts.hours", { hours: Math.floor(seconds / 3600), minutes: Math.round((seconds % 3600) / 60) });
}

const moments = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { dateStyle: "medium" });

export const moment = (iso) => (iso ? moments.format(new Date(iso)) : none);
export const day = (iso) => (iso ? days.format(new Date(iso)) : none);

/** A time as an element that says it exactly. */
export const when = (iso) => (iso ? element("time", { datetime: iso }, moment(iso)) : none);

/** The parts of the page's address after the first two, such as the number of a project. */
export const pathPart = (i) => decodeURIComponent(location.pathname.split("/")[i] ?? "");

/** Fills a table. Cells are texts, nodes, or {text, class}; the first of each row is its head. */
export function table(node, heads, rows) {
  const head = heads.map((text) => (text === "" ? element("td") : element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => {
    const row = element("tr", {}, ...cells.map((content, i) => cell(content, i)));
    if (cells.key) row.dataset.key = cells.key;
    return row;
  });
  node.replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  return node;
}

function cell(content, i) {
  const { text, class: kind } = typeof content === "object" && !(content instanceof Node) ? content : { text: content, class: "" };
  const inside = kind === "excerpt" ? element("div", { class: kind }, text) : text; // cut after a few lines, which a cell cannot do
  return element(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: kind || null }, inside);
}

export const numeric = (text) => ({ text, class: "number" });

/** A new table with its numbers set in columns. */
export function numbers(heads, rows) {
  return table(element("table", { class: "figures" }), heads, rows);
}

export const chip = (text, kind = "") => element("span", { class: `tag ${kind}`.trim() }, text);

export function bar(value, of, label) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${of > 0 ? Math.min(100, (100 * value) / of) : 0}%`;
  return element("span", { class: "track", role: "img", "aria-label": label }, fill);
}

export function button(text, action, attributes = {}) {
  const node = element("button", { class: "button small", type: "button", ...attributes }, text);
  if (action) node.addEventListener("click", action);
  return node;
}

/** Whether a failure was the end of the session, in which case the page leaves. */
export function signedOut(failure) {
  if (failure.status !== 401) return false;
  location.replace(signInAddress("expired"));
  return true;
}

/** Runs something that asks the server; what goes wrong is shown in the element. Returns whether it went well. */
export async function attempt(place, action) {
  try {
    await action();
    place.textContent = "";
    return true;
  } catch (failure) {
    if (!("status" in failure)) console.error(failure); // a mistake of this page
    if (!signedOut(failure)) place.textContent = failure.message;
    return false;
  }
}

/** Lets a form do something when it is sent, once at a time; what is wrong is said at the field it is about. */
export function onSubmit(form, action) {
  let busy = false;
  const error = form.querySelector(".error");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    form.setAttribute("aria-busy", "true");
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    error.textContent = "";
    try {
      await action();
    } catch (failure) {
      if (!("status" in failure)) console.error(failure);
      if (!signedOut(failure)) refused(form, error, failure);
    } finally {
      busy = false;
      form.removeAttribute("aria-busy");
    }
  });
}

function refused(form, error, failure) {
  error.textContent = failure.message;
  const name = (failure.field ?? "").split(".").findLast((part) => !/^\d+$|\[/.test(part));
  const field = name && [...form.elements].find((other) => other.name === name);
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", (error.id ||= `error-of-${form.id}`));
  field.focus();
}

/** Opens a dialog; its buttons with data-close close it, and so does a click beside it. */
export function openDialog(dialog) {
  if (!dialog.dataset.ready) {
    dialog.dataset.ready = "yes";
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
  }
  dialog.showModal();
}

/** Copies a field's text, and says so on the button. */
export function copyButton(node, field) {
  const was = node.textContent;
  node.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
    } catch { // not allowed, or no secure connection
      field.select();
      document.execCommand("copy");
    }
    node.textContent = t("parts.copied");
    announce(t("parts.copied"));
    setTimeout(() => (node.textContent = was), 2000);
  });
}

/** HTML that the server has made safe, as nodes. */
export function rendered(html) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  return element("div", { class: "prose" }, ...body.childNodes);
}

const roleNames = { system: "parts.role.system", user: "parts.role.user", assistant: "parts.role.assistant" };

/** A prompt, or a response: a conversation turn by turn, or a text. */
export function reading({ text, html, system, messages }) {
  const box = element("div", { class: "reading" });
  if (system) box.append(turn("system", element("p", { class: "plain" }, system)));
  if (messages?.length) box.append(...messages.map((message) => turn(message.role, message.html ? rendered(message.html) : element("p", { class: "plain" }, message.text))));
  else box.append(html ? rendered(html) : element("p", { class: "plain" }, text));
  return box;
}

function turn(role, content) {
  return element("div", { class: `turn turn-${role}` }, element("p", { class: "eyebrow" }, Object.hasOwn(roleNames, role) ? t(roleNames[role]) : role), content);
}

/** Tasks' kinds, by which the catalogue names them. */
export const kinds = {
  normal: "kind.normal",
  calibration: "kind.calibration",
  gold: "kind.gold",
  honeypot: "kind.honeypot",
  training: "kind.training",
  example: "kind.example",
  repeat: "kind.repeat",
};

export const kindName = (kind) => (Object.hasOwn(kinds, kind) ? t(kinds[kind]) : kind);

/** Why a task was skipped or flagged. */
const reasons = {
  nonsense: "reason.nonsense",
  unsafe: "reason.unsafe",
  too_hard: "reason.too_hard",
  all_bad: "reason.all_bad",
  personal_data: "reason.personal_data",
  other: "reason.other",
};

export const reasonName = (reason) => (Object.hasOwn(reasons, reason) ? t(reasons[reason]) : reason);
