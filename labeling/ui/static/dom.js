// Small helpers for the page: elements with text as text only, icons, announcements, motion.

/** Makes an element. Text always goes in as text, never as markup. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Makes nodes of markup that our own server has rendered and sanitised; no other markup may come here. */
export function rendered(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

const svg = "http://www.w3.org/2000/svg";
const paths = {
  up: "M10 16V4M5 9l5-5 5 5",
  down: "M10 4v12M5 11l5 5 5-5",
  tie: "M4 7.5h12M4 12.5h12",
  seen: "M4 10.5l4 4 8-9",
  unseen: "M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5zM10 12.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z",
  grip: "M7 5h.01M13 5h.01M7 10h.01M13 10h.01M7 15h.01M13 15h.01",
};

/** A line icon, hidden from screen readers: the button around it has the name. */
export function icon(name) {
  const image = document.createElementNS(svg, "svg");
  image.setAttribute("viewBox", "0 0 20 20");
  image.setAttribute("class", `icon icon-${name}`);
  image.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg, "path");
  path.setAttribute("d", paths[name]);
  image.append(path);
  return image;
}

/** Says something to screen readers through the page's live region. */
export function announce(text) {
  const region = document.getElementById("announce");
  region.textContent = region.textContent === text ? `${text}\u00a0` : text; // equal text would not be spoken again
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Lets elements glide from where they stood before change() to where they stand after it. */
export function glide(nodes, change) {
  const before = nodes.map((node) => node.getBoundingClientRect());
  change();
  if (calm.matches) return;
  nodes.forEach((node, i) => {
    const after = node.getBoundingClientRect();
    const dx = before[i].left - after.left;
    const dy = before[i].top - after.top;
    if (before[i].width === 0 || (Math.abs(dx) < 1 && Math.abs(dy) < 1)) return;
    node.animate([{ transform: `translate(${dx}px, ${dy}px)` }, { transform: "none" }], { duration: 180, easing: "cubic-bezier(.2, .7, .3, 1)" });
  });
}
