// The people: accounts, roles, links, tokens, and forgetting.

import { addPerson, addToken, changePerson, forget, people, projects, resume, revokeToken, signInLink, signPersonOut, tokens } from "./admin-api.js";
import { at, attempt, button, chip, copyButton, count, moment, onSubmit, openDialog, table, when } from "./admin-parts.js";
import { announce, element } from "./dom.js";
import { t } from "./i18n.js";

const roles = { labeler: "people.role.labeler", reviewer: "people.role.reviewer", admin: "people.role.admin" };
let chosen = null; // whom the open dialog is about

async function load() {
  const list = (await people()).people;
  at("people").replaceChildren(...list.map(card));
  at("content").hidden = false;
}

const reload = () => attempt(at("error"), load);

/** Does something about a person, says what has been done and shows everybody anew, keeping the keyboard's place. */
async function act(person, done, action) {
  const focused = document.activeElement?.dataset.what;
  if (!(await attempt(at("error"), action))) return;
  await reload();
  announce(done);
  at("people").querySelector(`[data-key="${person.id}"] [data-what="${focused}"]`)?.focus();
}

function card(person) {
  const marks = element("span", { class: "tags" });
  if (person.disabled) marks.append(chip(t("people.disabled"), "bad"));
  if (person.forgotten) marks.append(chip(t("people.forgotten")));
  for (const project of person.paused ?? []) marks.append(chip(t("people.paused", { project }), "bad"));
  const facts = element("p", { class: "fine" }, [t("people.rankings", { n: count(person.rankings) }), person.last_seen ? t("people.seen", { at: moment(person.last_seen) }) : t("people.unseen"), t("people.since", { at: moment(person.created_at) })].join(" · "));
  const node = element("li", { class: "panel person", "data-key": person.id }, element("div", { class: "person-head" }, element("h2", {}, person.name), marks), facts);
  if (person.pseudonym && person.pseudonym !== person.name) node.append(element("p", { class: "fine" }, t("people.pseudonym", { pseudonym: person.pseudonym })));
  if (!person.forgotten) node.append(roleField(person), actions(person));
  return node;
}

function roleField(person) {
  const select = element("select", { "data-what": "role", "aria-label": t("people.role.of", { name: person.name }) }, ...Object.entries(roles).map(([role, text]) => element("option", { value: role }, t(text))));
  select.value = person.role;
  select.addEventListener("change", async () => {
    await act(person, t("people.changed", { name: person.name }), () => changePerson(person.id, { role: select.value }));
    select.value = person.role; // as it is, if the server refused
  });
  return element("div", { class: "person-role" }, select);
}

function actions(person) {
  const { name } = person;
  const one = (what, text, action, kind = "") => button(text, action, { "data-what": what, "aria-label": `${text}: ${name}`, class: `button small ${kind}`.trim() });
  const row = element("div", { class: "links-row" },
    one("link", t("people.signin"), () => attempt(at("error"), async () => {
      const { url, expires_at: expires } = await signInLink(person.id);
      secret(t("people.link.title", { name }), t("people.link.meaning", { at: moment(expires) }), t("people.signin"), url);
    })),
    one("password", t("signin.password"), () => {
      ask(person, "password", t("people.password.title", { name }));
      at("password-name").value = name; // for password managers
    }),
    one("tokens", t("tokens.title"), () => showTokens(person)),
    one("out", t("people.out"), () => act(person, t("people.out.done", { name }), () => signPersonOut(person.id))),
    one("disable", person.disabled ? t("people.enable") : t("people.disable"), () => act(person, t("people.changed", { name }), () => changePerson(person.id, { disabled: !person.disabled }))),
    one("forget", t("people.forget"), () => {
      at("forget-label").textContent = t("people.forget.confirm", { name });
      ask(person, "forget", t("people.forget.title", { name }));
    }, "danger"));
  for (const project of person.paused ?? []) row.prepend(one("resume", t("people.resume", { project }), () => act(person, t("people.changed", { name }), () => resumeIn(person, project)), "primary"));
  return row;
}

async function resumeIn(person, name) {
  const { id } = (await projects()).projects.find((project) => project.name === name);
  await resume(id, person.id);
}

/** Opens one of the forms about a person. */
function ask(person, what, title) {
  chosen = person;
  at(`${what}-title`).textContent = title;
  at(`${what}-form`).reset();
  at(`${what}-form`).querySelector(".error").textContent = "";
  openDialog(at(what));
}

/** Shows something that is shown only once. */
function secret(title, meaning, label, text) {
  at("secret-title").textContent = title;
  at("secret-meaning").textContent = meaning;
  at("secret-label").textContent = label;
  at("secret-text").value = text;
  openDialog(at("secret"));
  at("secret-text").select();
}

async function showTokens(person) {
  chosen = person;
  at("tokens-title").textContent = t("tokens.title.of", { name: person.name });
  if (await attempt(at("error"), listTokens)) openDialog(at("tokens"));
}

async function listTokens() {
  const list = (await tokens(chosen.id)).tokens;
  const state = (token) => (token.revoked_at ? t("tokens.revoked", { at: moment(token.revoked_at) }) : new Date(token.expires_at) < new Date() ? t("tokens.expired") : "");
  table(at("tokens-table"), [t("tokens.name"), t("tokens.made"), t("tokens.expires"), t("tokens.used"), ""], list.map((token) => [
    token.name, when(token.created_at), when(token.expires_at), when(token.used_at),
    state(token) || button(t("tokens.revoke"), () => attempt(at("tokens-error"), async () => {
      await revokeToken(token.id);
      await listTokens();
      at("token-name").focus();
      announce(t("tokens.revoked.done", { name: token.name }));
    }), { "aria-label": t("tokens.revoke.name", { name: token.name }) }),
  ]));
  at("tokens-table").closest(".scroll").hidden = list.length === 0;
  at("tokens-none").hidden = list.length > 0;
}

at("new").addEventListener("click", () => ask(null, "add", t("people.add")));
copyButton(at("secret-copy"), at("secret-text"));
at("secret").addEventListener("close", () => (at("secret-text").value = ""));

const add = at("add-form");
onSubmit(add, async () => {
  const { name, role, password } = add.elements;
  const person = { name: name.value.trim(), role: role.value };
  if (password.value !== "") person.password = password.value;
  await addPerson(person);
  at("add").close();
  await reload();
  announce(t("people.added", { name: person.name }));
});

const password = at("password-form");
onSubmit(password, async () => {
  await changePerson(chosen.id, { password: password.elements.password.value });
  at("password").close();
  announce(t("people.changed", { name: chosen.name }));
});

const forgetting = at("forget-form");
onSubmit(forgetting, async () => {
  if (forgetting.elements.confirm.value !== chosen.name) throw Object.assign(new Error(t("people.forget.wrong")), { status: 422, field: "confirm" });
  const { pseudonym } = await forget(chosen.id);
  at("forget").close();
  await reload();
  announce(t("people.forget.done", { pseudonym }));
});

const tokenForm = at("token-form");
onSubmit(tokenForm, async () => {
  const { name, days } = tokenForm.elements;
  const { token } = await addToken(chosen.id, name.value.trim(), Math.trunc(Number(days.value)));
  at("tokens").close();
  tokenForm.reset();
  secret(t("tokens.title.of", { name: chosen.name }), t("tokens.once"), t("tokens.token"), token);
});

reload();
