// The JSON API of admins and reviewers.

import { ApiError, call } from "./api.js";
import { t } from "./i18n.js";

/** A query of what is given: empty values are left out. */
export function query(values) {
  const given = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false));
  return given.size > 0 ? `?${given}` : "";
}

export const projects = () => call("GET", "/admin/projects");
export const createProject = (project) => call("POST", "/admin/projects", project);
export const project = (id) => call("GET", `/admin/projects/${id}`);
export const changeProject = (id, value) => call("PUT", `/admin/projects/${id}`, value);
export const guidelines = (id) => call("GET", `/admin/projects/${id}/guidelines`);
export const addGuideline = (id, text) => call("POST", `/admin/projects/${id}/guidelines`, { text });
export const preview = (text) => call("POST", "/admin/preview", { text });
export const tasks = (id, filter) => call("GET", `/admin/projects/${id}/tasks${query(filter)}`);
export const task = (id) => call("GET", `/admin/tasks/${id}`);
export const changeTask = (id, change) => call("PATCH", `/admin/tasks/${id}`, change);
export const calibrate = (id, share, seed) => call("POST", `/admin/projects/${id}/calibrate`, { share, seed });
export const resume = (id, person) => call("POST", `/admin/projects/${id}/people/${person}/resume`, {});
export const flags = (id, after) => call("GET", `/admin/projects/${id}/flags${query({ after })}`);
export const figures = (id) => patiently(`/admin/projects/${id}/figures`);
export const overview = (id) => call("GET", `/admin/overview${query({ project: id })}`);
export const formats = () => call("GET", "/admin/formats");
export const exportAddress = (id, values) => `/api/admin/projects/${id}/export${query(values)}`;

export const people = () => call("GET", "/admin/people");
export const addPerson = (person) => call("POST", "/admin/people", person);
export const changePerson = (id, change) => call("PATCH", `/admin/people/${id}`, change);
export const signInLink = (id) => call("POST", `/admin/people/${id}/link`, {});
export const signPersonOut = (id) => call("POST", `/admin/people/${id}/sign-out`, {});
export const forget = (id) => call("POST", `/admin/people/${id}/forget`, {});
export const tokens = (id) => call("GET", `/admin/people/${id}/tokens`);
export const addToken = (id, name, days) => call("POST", `/admin/people/${id}/tokens`, { name, days });
export const revokeToken = (id) => call("DELETE", `/admin/tokens/${id}`);
export const audit = (before, limit) => call("GET", `/admin/audit${query({ before, limit })}`);

export const reviewProjects = () => call("GET", "/review/projects");
export const disputes = (id) => patiently(`/review/projects/${id}`);
export const dispute = (id) => call("GET", `/review/tasks/${id}`);
export const decide = (id, decision) => call("POST", `/review/tasks/${id}/decision`, decision);

/** Asks for what may take long: no answer is given up. */
async function patiently(path, options = {}) {
  let response;
  let value;
  try {
    response = await fetch(`/api${path}`, { ...options, headers: { Accept: "application/json", ...options.headers }, credentials: "same-origin", cache: "no-store" });
    value = await response.json();
  } catch {
    throw new ApiError(0, "unreachable", t("error.unreachable"), "");
  }
  if (!response.ok) throw new ApiError(response.status, value?.error?.code ?? "", value?.error?.message ?? t("error.status", { status: response.status }), value?.error?.field ?? "");
  return value;
}

/** Sends a file as it is. */
export const importFile = (id, values, file) => patiently(`/admin/projects/${id}/import${query(values)}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });

/** Listens to a project's overview; state hears whether the line is up. A session that has ended closes it for good. */
export function listen(id, seen, state, closed) {
  const source = new EventSource(`/api/admin/events${query({ project: id })}`);
  source.addEventListener("overview", (event) => seen(JSON.parse(event.data)));
  source.addEventListener("open", () => state(true));
  source.addEventListener("error", () => {
    state(false);
    if (source.readyState === EventSource.CLOSED) closed();
  });
  addEventListener("pagehide", () => source.close());
}
