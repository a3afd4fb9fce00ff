// Questions before an action that cannot be undone, and messages that disappear after a while.

import { el } from "/dashboard/dom.js";
import { word } from "/dashboard/words.js";

/**
 * Asks for confirmation. Resolves to `true`, or to the selected one of `choices`, or to `null` if the user refuses.
 * Escape refuses. Without `choices`, the button that refuses has the focus.
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

/** Shows a message for a few seconds and announces it to screen readers. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(leaving);
  leaving = setTimeout(() => {
    said.textContent = "";
  }, 6_000);
}

/** A text in place of something that cannot be shown. */
export const note = (text, kind = "note") => el("p", { class: kind }, text);

/** The text of an error, which screen readers announce at once. */
export const failure = (error) => el("p", { class: "failure", role: "alert" }, error.words ?? String(error));
