// A project's guidelines: a new version beside its preview, and all versions there have been.

import { addGuideline, guidelines, preview } from "./admin-api.js";
import { at, attempt, moment, onSubmit, rendered } from "./admin-parts.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

const form = at("guide-form");
const text = at("guide-text");
const pause = 300; // ms without typing before the preview is made
let timer;
let shown = null;

export async function guidelinesSection(state) {
  await attempt(form.querySelector(".error"), async () => {
    const versions = await list(state.id);
    if (text.value === "") text.value = versions[0]?.text ?? "";
    await look();
  });
  text.addEventListener("input", () => {
    at("guide-saved").textContent = "";
    clearTimeout(timer);
    timer = setTimeout(() => attempt(form.querySelector(".error"), look), pause);
  });
  onSubmit(form, async () => {
    const { version } = await addGuideline(state.id, text.value);
    await list(state.id);
    at("guide-saved").textContent = t("guide.saved", { version });
  });
}

async function look() {
  if (shown === text.value) return;
  const wanted = text.value;
  const html = wanted.trim() === "" ? "" : (await preview(wanted)).html;
  if (wanted !== text.value) return; // typed on since
  shown = wanted;
  at("guide-preview").replaceChildren(rendered(html));
}

/** Shows the versions, the latest first, and returns them so. */
async function list(id) {
  const versions = (await guidelines(id)).guidelines.toSorted((a, b) => b.version - a.version);
  at("versions").replaceChildren(...versions.map((guideline, i) => {
    const head = element("summary", {}, element("strong", {}, t("guide.version", { version: guideline.version })), ` ${i === 0 ? t("guide.inforce") : ""} `,
      element("span", { class: "fine" }, t("guide.by", { author: guideline.author || t("parts.commandline"), at: moment(guideline.created_at) })));
    return element("details", { class: "panel version" }, head, rendered(guideline.html));
  }));
  if (versions.length === 0) at("versions").replaceChildren(element("p", { class: "none" }, t("guide.none")));
  return versions;
}
