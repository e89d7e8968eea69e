// The sign-in page.

import { ApiError, session, signIn } from "./api.js";

const form = document.getElementById("form");
const error = document.getElementById("error");
const button = document.getElementById("submit");
const query = new URLSearchParams(location.search);

/** Where to go after signing in: only pages of this application. */
function destination() {
  const next = query.get("next");
  return next === "/admin" || next === "/label" ? next : "/label";
}

function showNotice() {
  const notice = document.getElementById("notice");
  if (query.get("reason") === "expired") notice.textContent = "Your session has ended. Sign in again; your unfinished ranking is kept.";
  if (query.get("reason") === "out") notice.textContent = "You are signed out.";
  notice.hidden = notice.textContent === "";
}

async function submit(event) {
  event.preventDefault();
  error.textContent = "";
  const { name, password } = form.elements;
  const missing = [name, password].find((input) => input.value.trim() === "");
  if (missing) {
    error.textContent = missing === name ? "Enter your name." : "Enter your password.";
    missing.focus();
    return;
  }
  button.disabled = true;
  button.textContent = "Signing in…";
  try {
    await signIn(name.value.trim(), password.value);
    location.replace(destination());
    return;
  } catch (failure) {
    if (!(failure instanceof ApiError)) throw failure;
    error.textContent = failure.status === 401 ? "Name or password is wrong." : failure.message;
    password.select();
    password.focus();
  } finally {
    button.disabled = false;
    button.textContent = "Sign in";
  }
}

form.addEventListener("submit", submit);
button.disabled = false; // until here the browser itself would have sent the form
showNotice();
session().then(() => location.replace(destination()), () => {}); // not signed in: stay
