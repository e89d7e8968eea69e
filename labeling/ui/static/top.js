// The bar at the top of every page: language, theme, signing out.

import { signOut } from "./api.js";

const year = 365 * 24 * 3600;

function remember(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${value === "" ? 0 : year}; samesite=lax`;
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    remember("rlhf_lang", button.dataset.language);
    location.reload();
  });
}

for (const button of document.querySelectorAll("[data-scheme]")) {
  button.addEventListener("click", () => {
    const theme = button.dataset.scheme;
    remember("rlhf_theme", theme);
    if (theme === "") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const other of document.querySelectorAll("[data-scheme]")) other.setAttribute("aria-pressed", String(other === button));
  });
}

document.getElementById("sign-out")?.addEventListener("click", async () => {
  try {
    await signOut();
  } catch (failure) {
    if (failure.status !== 401) {
      document.getElementById("account-error").textContent = failure.message;
      return;
    }
  }
  location.assign("/?reason=out");
});
