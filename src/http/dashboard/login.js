// The login. The token is sent to the daemon once. The daemon answers with a cookie that no script can read.

import { post } from "/dashboard/api.js";
import { failure } from "/dashboard/ask.js";
import { el } from "/dashboard/dom.js";
import { word } from "/dashboard/words.js";

/** Shows the login. `done` is called when it has succeeded. */
export function show(place, done) {
  document.title = word("login");
  const token = el("input", {
    id: "token", type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false",
  });
  const said = el("div");
  const enter = async (event) => {
    event.preventDefault();
    try {
      await post("/login", { token: token.value.trim() });
    } catch (error) {
      said.replaceChildren(failure(error));
      token.select();
      return;
    }
    done();
  };
  place.replaceChildren(
    el(
      "form",
      { class: "login card", on: { submit: enter } },
      el("h1", {}, word("login")),
      el("p", {}, word("login_why")),
      el("label", { for: "token" }, word("token"), token),
      said,
      el("button", { class: "primary" }, word("enter")),
    ),
  );
  token.focus();
  return () => {};
}
