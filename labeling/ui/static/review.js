// The projects whose disputes a reviewer may settle.

import { reviewProjects } from "./admin-api.js";
import { at, attempt } from "./admin-parts.js";
import { element } from "./dom.js";

attempt(at("error"), async () => {
  const list = (await reviewProjects()).projects;
  at("projects").replaceChildren(...list.map(({ id, name }) => element("li", { class: "panel project" }, element("h2", {}, element("a", { href: `/review/${id}` }, name)))));
  at("none").hidden = list.length > 0;
  at("content").hidden = false;
});
