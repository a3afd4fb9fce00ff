// Calls: the history, newest first, page by page, and as a table for a spreadsheet.
//
// The filters are sent to the daemon and kept in memory. They are not part of the page's address, because they may
// contain a phone number.

import { ask, json, withQuery } from "/dashboard/api.js";
import { failure, note, say } from "/dashboard/ask.js";
import { el, scrolling, table } from "/dashboard/dom.js";
import { callerOf, clock, ms, number, reason, usd, when } from "/dashboard/format.js";
import { REASONS, word } from "/dashboard/words.js";

const PAGE = 50;
/** The largest page that the daemon returns. */
const TABLE_PAGE = 500;

/** The last filters, which are restored when the user returns from a call. */
let sought = { from: "", to: "", caller: "", end_reason: "", agent: "" };

/** Shows the view. The returned function ends it. */
export function show(place) {
  const leaving = new AbortController();
  let cursor = null;
  let body = null;
  let count = 0;

  const input = (name, type, more = {}) =>
    el(
      "label",
      {},
      word(`filter_${name}`),
      el("input", { name, type, value: sought[name], autocomplete: "off", ...more }),
    );
  const reasons = el(
    "select",
    { name: "end_reason" },
    el("option", { value: "" }, word("any")),
    REASONS.map((code) => el("option", { value: code, selected: sought.end_reason === code }, reason(code))),
  );
  const found = el("div", { id: "found" });
  const more = el("button", { type: "button", hidden: true, on: { click: () => next() } }, word("more"));
  const form = el(
    "form",
    {
      class: "filters card", role: "search",
      on: {
        submit: (event) => {
          event.preventDefault();
          seek();
        },
      },
    },
    input("from", "date"),
    input("to", "date"),
    input("caller", "tel", { maxlength: 64 }),
    el("label", {}, word("filter_end_reason"), reasons),
    input("agent", "text", { maxlength: 255 }),
    el(
      "div",
      { class: "buttons" },
      el("button", { class: "primary" }, word("search")),
      el("button", { type: "button", on: { click: clear } }, word("clear")),
      el("button", { type: "button", id: "csv", on: { click: saveTable } }, word("csv")),
    ),
  );
  place.append(el("div", { class: "head" }, el("h1", {}, word("calls"))), form, found, more);

  function clear() {
    for (const field of form.elements) if (field.name) field.value = "";
    seek();
  }

  function seek() {
    sought = { ...sought, ...Object.fromEntries(new FormData(form)) };
    [cursor, body, count] = [null, null, 0];
    next();
  }

  async function next() {
    more.disabled = true;
    found.setAttribute("aria-busy", "true");
    // The results of an earlier search are discarded.
    const asked = sought;
    try {
      const page = await json(withQuery("/calls", { ...asked, limit: PAGE, cursor }), { signal: leaving.signal });
      if (asked === sought) add(page);
    } catch (error) {
      if (error.name !== "AbortError" && asked === sought) found.replaceChildren(failure(error));
    }
    if (asked !== sought) return;
    more.disabled = false;
    found.setAttribute("aria-busy", "false");
  }

  function add({ calls, next_cursor: following }) {
    if (!body) {
      const shown = table(word("calls_found"), COLUMNS.map(([name]) => word(name)), [], NUMBERS);
      shown.classList.add("calls");
      body = shown.tBodies[0];
      found.replaceChildren(calls.length === 0 ? note(word("nothing_found")) : scrolling(shown));
    }
    body.append(...calls.map(row));
    count += calls.length;
    cursor = following;
    more.hidden = !following;
    found.dataset.count = String(count);
  }

  /**
   * Saves all pages as one table. The script fetches them, because the address of a link would contain the phone
   * number.
   */
  async function saveTable() {
    const parts = [];
    try {
      for (let at = null, first = true; first || at; first = false) {
        const query = withQuery("/calls", { ...sought, limit: TABLE_PAGE, cursor: at, format: "csv" });
        const page = await ask(query, { signal: leaving.signal });
        at = page.headers.get("Next-Cursor");
        const text = await page.text();
        parts.push(first ? text : text.slice(text.indexOf("\n") + 1));
      }
    } catch (error) {
      if (error.name !== "AbortError") say(error.words ?? String(error));
      return;
    }
    const url = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
    el("a", { href: url, download: "calls.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  next();
  return () => leaving.abort();
}

/** The columns: their names, and what they show of a call. */
const COLUMNS = [
  ["when", (call) => el("a", { href: `#/call/${encodeURIComponent(call.row_id)}` }, when(call.offered_at))],
  ["caller", callerOf],
  ["called", (call) => call.called || "–"],
  ["agent", (call) => call.agent || "–"],
  ["duration", (call) => clock(call.duration_seconds)],
  ["end", (call) => (call.ended_at ? reason(call.end_reason) : el("span", { class: "live" }, word("running")))],
  ["turns", (call) => number(call.turns)],
  ["median", (call) => ms(call.turn_p50_ms)],
  ["cost", (call) => usd(call.cost_usd)],
];
const NUMBERS = [4, 6, 7, 8];

function row(call) {
  const cells = COLUMNS.map(([name, shown], at) =>
    el("td", { "data-label": word(name), class: NUMBERS.includes(at) ? "number" : null }, shown(call)));
  return el("tr", { "data-id": call.id }, cells);
}
