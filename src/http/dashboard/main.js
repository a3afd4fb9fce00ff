// The page: who is logged in, and which view the address names.
//
// An address names a view and the id of a call, but never a phone number, because addresses are kept in histories and
// logs.
//
//   #/now  #/calls  #/call/<id>  #/usage

import { json, post } from "/dashboard/api.js";
import { failure } from "/dashboard/ask.js";
import * as call from "/dashboard/call.js";
import * as calls from "/dashboard/calls.js";
import * as login from "/dashboard/login.js";
import * as now from "/dashboard/now.js";
import * as usage from "/dashboard/usage.js";
import { language, word } from "/dashboard/words.js";

const VIEWS = { now, calls, call, usage };

const main = document.getElementById("main");
const nav = document.querySelector("nav");
const logout = document.getElementById("logout");
/** Ends the present view. */
let leave = () => {};
/** Counts the requests for a view. Answers that arrive for an earlier request are discarded. */
let asked = 0;
/** What the daemon says about this login. */
let session = { needs_token: false, role: null };

/** Shows the view that the address names, or the login first. */
async function show() {
  leave();
  leave = () => {};
  asked += 1;
  const turn = asked;
  let told;
  try {
    told = await json("/session");
  } catch (error) {
    if (turn === asked) main.replaceChildren(failure(error));
    return;
  }
  if (turn !== asked) return;
  session = told;
  logout.hidden = !(session.needs_token && session.role);
  const [, name, encoded] = location.hash.split("/");
  const id = decode(encoded);
  const named = Object.hasOwn(VIEWS, name) ? name : "now";
  const shown = named === "call" && id === "" ? "calls" : named;
  const section = shown === "call" ? "calls" : shown;
  nav.hidden = !session.role;
  for (const link of nav.children) {
    if (link.hash === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!session.role) {
    leave = login.show(main, show);
    return;
  }
  document.title = `${word(shown)} · openai-inbound-calls`;
  main.replaceChildren();
  leave = VIEWS[shown].show(main, { mayChange: session.role === "full", id });
}

/** Decodes the id in the address. A user may have edited the address, so it may be invalid. */
function decode(id) {
  try {
    return decodeURIComponent(id ?? "");
  } catch {
    return "";
  }
}

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
for (const element of document.querySelectorAll("[data-label]")) {
  element.setAttribute("aria-label", word(element.dataset.label));
}
document.querySelector(".skip").addEventListener("click", (event) => {
  // The view determines the address.
  event.preventDefault();
  main.focus();
});
logout.addEventListener("click", () => post("/logout").then(show, show));
document.addEventListener("login-needed", () => {
  if (session.role) show();
});
addEventListener("hashchange", async () => {
  await show();
  if (session.role) main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
