// The JSON API of the labeling server.

import { t } from "./i18n.js";

/** An answer other than success. status is 0 when no answer came at all. */
export class ApiError extends Error {
  constructor(status, code, message, field, answer = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
    this.answer = answer; // the whole body
  }

  /** Whether sending the same again later may succeed. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// What the server says in English, by its code; for codes that are not here its own words are shown.
const messages = {
  credentials: "error.credentials",
  throttled: "error.throttled",
  session: "error.session",
  role: "error.role",
  not_found: "error.not_found",
  ranked: "error.ranked",
  internal: "error.internal",
  holding: "error.holding",
  revision: "error.revision",
  too_late: "error.too_late",
  opened: "error.opened",
  answers: "error.answers",
  link: "error.link",
  too_large: "error.too_large",
};

function said(error, status) {
  if (Object.hasOwn(messages, error.code ?? "")) return t(messages[error.code]);
  return error.message || t("error.status", { status });
}

const patience = 20_000; // ms until an answer that does not come counts as none

export async function call(method, path, body, keepalive = false) {
  const options = { method, keepalive, headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(patience) };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  let text;
  try {
    response = await fetch(`/api${path}`, options);
    text = await response.text();
  } catch {
    throw new ApiError(0, "unreachable", t("error.unreachable"), "");
  }
  let value = null;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch {
    if (response.ok) throw new ApiError(response.status, "unreadable", t("error.unreadable"), "");
  }
  if (!response.ok) {
    const error = value?.error ?? {};
    throw new ApiError(response.status, error.code ?? "", said(error, response.status), error.field ?? "", value ?? {});
  }
  return value;
}

export const signIn = (name, password) => call("POST", "/session", { name, password });
export const session = () => call("GET", "/session");
export const signOut = () => call("DELETE", "/session");
export const enter = (token) => call("POST", "/session/link", { token });

const task = (id, rest = "") => `/tasks/${encodeURIComponent(id)}${rest}`;

/** holding names the tasks that the page has and has not finished; the answer is another one. */
export const nextTask = (holding) => call("POST", "/tasks/next", { holding, project: "" });
export const oneTask = (id) => call("GET", task(id));
export const heartbeat = (id) => call("POST", task(id, "/heartbeat"), {});
export const putDraft = (id, version, body, leaving) => call("PUT", task(id, "/draft"), { version, body }, leaving);
export const submitRanking = (id, ranking) => call("POST", task(id, "/ranking"), ranking);
export const skipTask = (id, skip) => call("POST", task(id, "/skip"), skip);
export const recentTasks = () => call("GET", "/tasks/recent");
export const guidelines = (project) => call("GET", `/guidelines?project=${encodeURIComponent(project)}`);

/** The address of the sign-in page that leads back to this one. */
export function signInAddress(reason) {
  const query = new URLSearchParams({ next: location.pathname + location.search });
  if (reason) query.set("reason", reason);
  return `/?${query}`;
}
