// Creates elements from data. A string always becomes a text node: nothing in these files parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Creates an element from attributes (`class`, `aria-…`; true for an attribute without a value), listeners under
 * `on`, and children.
 */
export function el(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/** Creates an SVG element in the same way. */
export function svg(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text if it differs, so that only real changes cause a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if its value differs. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A definition list of pairs of a name and a value. Pairs without a value are omitted. */
export function facts(pairs, attributes = {}) {
  const rows = pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  return el("dl", { class: "facts", ...attributes }, rows);
}

/** A container for content that may be wider than the screen. It can be scrolled with the keyboard too. */
export function scrolling(shown) {
  return el("div", { class: "wide", role: "group", "aria-label": shown.caption.textContent, tabindex: 0 }, shown);
}

/**
 * A table with the names of its columns and rows of cells. A cell is a text or a node. The columns in `numbers` are
 * right-aligned.
 */
export function table(caption, columns, rows, numbers = []) {
  const side = (at) => (numbers.includes(at) ? "number" : null);
  const head = columns.map((name, at) => el("th", { scope: "col", class: side(at) }, name));
  const cell = (value, at) => el("td", { class: side(at), "data-label": columns[at] }, value);
  return el(
    "table",
    {},
    el("caption", { class: "quiet" }, caption),
    el("thead", {}, el("tr", {}, head)),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell)))),
  );
}
