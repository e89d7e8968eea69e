// The page of a one-time link: signing in without a password. The link is used up only by the button, so that a program that
// looks at links does not use it up.

import { enter } from "./api.js";
import { t } from "./i18n.js";

const button = document.getElementById("enter");
const error = document.getElementById("error");
const token = location.hash.slice(1) || new URLSearchParams(location.search).get("token") || "";
history.replaceState(null, "", location.pathname); // not into the history, nor onto pictures of the screen

if (token === "") error.textContent = t("enter.notoken");
button.disabled = token === "";
button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    await enter(token);
    location.replace("/label");
  } catch (failure) {
    error.textContent = failure.message;
    button.disabled = !failure.passing;
  }
});
