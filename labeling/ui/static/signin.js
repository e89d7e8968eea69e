// The sign-in page.

import { ApiError, signIn } from "./api.js";
import { t } from "./i18n.js";

const form = document.getElementById("form");
const error = document.getElementById("error");
const button = document.getElementById("submit");
const query = new URLSearchParams(location.search);

function showNotice() {
  const notice = document.getElementById("notice");
  if (query.get("reason") === "expired") notice.textContent = t("signin.expired");
  if (query.get("reason") === "out") notice.textContent = t("signin.out");
  notice.hidden = notice.textContent === "";
}

async function submit(event) {
  event.preventDefault();
  error.textContent = "";
  const { name, password } = form.elements;
  const missing = [name, password].find((input) => input.value.trim() === "");
  if (missing) {
    error.textContent = missing === name ? t("signin.noname") : t("signin.nopassword");
    missing.focus();
    return;
  }
  button.disabled = true;
  button.textContent = t("signin.busy");
  try {
    await signIn(name.value.trim(), password.value);
    location.replace(form.dataset.next);
    return;
  } catch (failure) {
    if (!(failure instanceof ApiError)) throw failure;
    error.textContent = failure.message;
    password.select();
    password.focus();
  } finally {
    button.disabled = false;
    button.textContent = t("signin.submit");
  }
}

form.addEventListener("submit", submit);
button.disabled = false; // until here the browser itself would have sent the form
showNotice();
if (document.activeElement === document.body) form.elements.name.focus();
