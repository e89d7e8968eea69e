// A project's settings.

import { changeProject } from "./admin-api.js";
import { at, button, onSubmit } from "./admin-parts.js";
import { announce, element } from "./dom.js";
import { t } from "./i18n.js";

const form = at("settings-form");
const field = (name) => form.elements[name];
const flags = ["rate", "confidence", "must_open"];
const counts = ["overlap", "k", "gold_window"];
const shares = ["calibration_share", "gold_share", "repeat_share", "gold_threshold"]; // the page says them in per cent

// The yes or no questions of InstructGPT's labelers (Ouyang 2022, table 3), by the key under which answers are kept.
const presets = {
  fails_instruction: "preset.fails_instruction",
  inappropriate: "preset.inappropriate",
  hallucination: "preset.hallucination",
  satisfies_constraint: "preset.satisfies_constraint",
  sexual_content: "preset.sexual_content",
  violent_content: "preset.violent_content",
  encourages_violence: "preset.encourages_violence",
  denigrates_protected_class: "preset.denigrates_protected_class",
  harmful_advice: "preset.harmful_advice",
  expresses_opinion: "preset.expresses_opinion",
  expresses_moral_judgment: "preset.expresses_moral_judgment",
};

export async function settingsSection(state) {
  const [{ default: en }, { default: zh }] = await Promise.all([import("./strings/en.js"), import("./strings/zh.js")]);
  fill(state.project);
  at("preset").replaceChildren(element("option", { value: "*" }, t("settings.preset.every")), ...Object.entries(presets).map(([key, text]) => element("option", { value: key }, t(text))));
  at("add-preset").addEventListener("click", () => {
    const wanted = at("preset").value === "*" ? Object.keys(presets) : [at("preset").value];
    const taken = new Set(questions().map((question) => question.key));
    const fresh = wanted.filter((key) => !taken.has(key));
    at("questions").append(...fresh.map((key) => questionRow({ key, text: { en: en[presets[key]], zh: zh[presets[key]] } })));
    announce(t("settings.question.added", { n: fresh.length }));
  });
  at("add-question").addEventListener("click", () => {
    const row = questionRow({ key: "", text: { en: "", zh: "" } });
    at("questions").append(row);
    row.querySelector("input").focus();
  });
  form.addEventListener("input", () => (at("settings-saved").textContent = ""));
  onSubmit(form, async () => {
    const saved = await changeProject(state.id, read());
    state.named(saved);
    fill(saved);
    at("settings-saved").textContent = t("parts.saved");
  });
}

function fill({ name, description, open, settings }) {
  field("name").value = name;
  field("description").value = description;
  field("open").checked = open;
  for (const flag of flags) field(flag).checked = settings[flag];
  for (const n of counts) field(n).value = settings[n];
  for (const share of shares) field(share).value = Number((100 * settings[share]).toPrecision(10));
  at("questions").replaceChildren(...(settings.questions ?? []).map(questionRow));
}

function read() {
  const settings = { questions: questions() };
  for (const flag of flags) settings[flag] = field(flag).checked;
  for (const n of counts) settings[n] = Math.trunc(Number(field(n).value));
  for (const share of shares) settings[share] = Number((Number(field(share).value) / 100).toPrecision(10));
  return { name: field("name").value.trim(), description: field("description").value.trim(), open: field("open").checked, settings };
}

const questions = () => [...at("questions").children].map((row) => {
  const [key, en, zh] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
  return { key, text: { en, zh } };
});

function questionRow({ key, text }) {
  const row = element("li", { class: "question" }, input(t("settings.question.key"), key, 60), input(t("settings.question.en"), text.en ?? "", 300), input(t("settings.question.zh"), text.zh ?? "", 300, "zh-Hans"));
  const say = () => row.querySelector("input").value || t("settings.question.own");
  const remove = button(t("parts.remove"), () => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("button") ?? at("add-question")).focus();
    announce(t("settings.question.removed", { key: say() }));
  });
  const move = (text, there) => button(text, (event) => {
    there();
    event.currentTarget.focus();
  });
  row.append(element("div", { class: "links-row" },
    move(t("parts.up"), () => row.previousElementSibling?.before(row)), move(t("parts.down"), () => row.nextElementSibling?.after(row)), remove));
  return row;
}

function input(text, value, longest, lang) {
  const box = element("input", { maxlength: longest, autocomplete: "off", lang });
  box.value = value;
  return element("label", { class: "field" }, element("span", {}, text), box);
}
