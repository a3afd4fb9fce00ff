// What the page asks before it does something that cannot be undone, and what it says in passing.

import { el } from "/dashboard/dom.js";
import { word } from "/dashboard/words.js";

/**
 * Asks once. Answers with `true`, or with the choice made among `choices`; with `null` if the answer is no.
 * Escape is no, and no has the focus.
 */
export function confirm({ title, text, action, choices, danger = true }) {
  return new Promise((resolve) => {
    const select = choices && el("select", { id: "choice" }, choices.map((choice) => el("option", {}, choice)));
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const no = el("button", { type: "button", on: { click: () => close(null) } }, word("cancel"));
    const agree = () => close(select ? select.value : true);
    const kind = danger ? "danger" : "primary";
    const yes = el("button", { type: "button", class: kind, on: { click: agree } }, action);
    const dialog = el(
      "dialog",
      { "aria-labelledby": "question", on: { cancel: (event) => (event.preventDefault(), close(null)) } },
      el("h2", { id: "question" }, title),
      el("p", {}, text),
      select && el("label", { for: "choice" }, word("destination"), select),
      el("div", { class: "buttons" }, no, yes),
    );
    document.body.append(dialog);
    dialog.showModal();
    (select ?? no).focus();
  });
}

let leaving;

/** Says something for a few seconds, to screen readers too. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(leaving);
  leaving = setTimeout(() => {
    said.textContent = "";
  }, 6_000);
}

/** A text in place of what cannot be shown. */
export const note = (text, kind = "note") => el("p", { class: kind }, text);

/** The same of an error, to screen readers at once. */
export const failure = (error) => el("p", { class: "failure", role: "alert" }, error.words ?? String(error));
