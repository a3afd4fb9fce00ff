// Usage: sums over calls by time, agent or model, as plots and as a table.

import { json, withQuery } from "/dashboard/api.js";
import { failure, note } from "/dashboard/ask.js";
import { el, facts, scrolling, table } from "/dashboard/dom.js";
import { decimal, ms, number, period, periodFully, short, usd } from "/dashboard/format.js";
import { bars, lines } from "/dashboard/plot.js";
import { word } from "/dashboard/words.js";

const BY = ["day", "hour", "agent", "model"];
/** The number of days that are shown at first for each grouping. */
const DAYS = { day: 30, hour: 2, agent: 30, model: 30 };
const HOUR_MS = 3_600_000;
/** From this number of bars on, periods without calls are not added, because the screen has no room for them. */
const FILLED = 800;

/** Shows the view. The returned function ends it. */
export function show(place) {
  const leaving = new AbortController();
  let plots = [];
  let isTouched = false;

  const by = el("select", { name: "by" }, BY.map((name) => el("option", { value: name }, word(`by_${name}`))));
  const day = (name, value) => el("input", { type: "date", name, value, on: { input: () => (isTouched = true) } });
  const [from, to] = [day("from", daysAgo(DAYS.day - 1)), day("to", "")];
  const shown = el("div", { id: "plots" });
  const form = el(
    "form",
    { class: "filters card", on: { change: load, submit: (event) => (event.preventDefault(), load()) } },
    el("label", {}, word("by"), by),
    el("label", {}, word("filter_from"), from),
    el("label", {}, word("filter_to"), to),
  );
  by.addEventListener("change", () => {
    if (!isTouched) from.value = daysAgo(DAYS[by.value] - 1);
  });
  place.append(el("div", { class: "head" }, el("h1", {}, word("usage"))), form, shown);

  async function load() {
    const asked = { by: by.value, from: from.value, to: to.value };
    try {
      const { stats } = await json(withQuery("/stats", asked), { signal: leaving.signal });
      if (asked.by === by.value && asked.from === from.value && asked.to === to.value) draw(stats, asked.by);
    } catch (error) {
      if (error.name !== "AbortError") shown.replaceChildren(failure(error));
    }
  }

  function draw(stats, grouped) {
    end();
    if (stats.length === 0) {
      shown.replaceChildren(note(word("nothing_found")));
      return;
    }
    const isTime = grouped === "day" || grouped === "hour";
    const rows = isTime ? filled(stats, grouped) : stats;
    const named = (key) => ({ label: key || "–", title: key || "–" });
    const timed = (key) => ({ label: period(key, grouped), title: periodFully(key, grouped) });
    const keys = rows.map(({ key }) => (isTime ? timed(key) : named(key)));
    const of = (value) => rows.map((row) => (row.calls === undefined ? null : value(row)));
    const one = (title, value, format, least) =>
      bars({ title, keys, series: [{ name: title, values: of(value) }], format, least });
    plots = [
      one(word("calls"), (row) => row.calls, short, 1),
      one(word("minutes"), (row) => row.minutes, short),
      one(word("cost"), (row) => row.cost_usd, usd),
      bars({
        title: word("tokens"),
        keys,
        series: [
          { name: word("tokens_in"), values: of(({ tokens }) => fresh(tokens)) },
          { name: word("tokens_cached"), values: of(({ tokens }) => cached(tokens)) },
          { name: word("tokens_out"), values: of(({ tokens }) => output(tokens)) },
        ],
        format: short,
      }),
      lines({
        title: word("latency_of_calls"),
        keys,
        series: [
          { name: word("median"), values: of((row) => row.turn_p50.p50_ms) },
          { name: word("p95"), values: of((row) => row.turn_p95.p95_ms) },
          { name: word("greeting"), values: of((row) => row.greeting.p50_ms) },
        ],
        format: ms,
      }),
    ];
    shown.replaceChildren(
      totals(stats),
      el("div", { class: "plots" }, plots.map(({ element }) => el("div", { class: "card" }, element))),
      el(
        "details",
        { class: "card" },
        el("summary", {}, word("as_table")),
        scrolling(asTable(stats, grouped, isTime)),
      ),
    );
    for (const plot of plots) plot.draw();
    shown.dataset.drawn = grouped;
  }

  function end() {
    for (const plot of plots) plot.leave();
    plots = [];
  }

  load();
  return () => {
    leaving.abort();
    end();
  };
}

const cached = (tokens) => tokens.cached_text_in + tokens.cached_audio_in;
const fresh = (tokens) => tokens.text_in + tokens.audio_in - cached(tokens);
const output = (tokens) => tokens.text_out + tokens.audio_out;

function totals(stats) {
  const sum = (value) => stats.reduce((total, row) => total + value(row), 0);
  const unknown = sum((row) => row.unknown_cost_calls);
  return el(
    "section",
    { class: "card", "aria-label": word("total") },
    facts([
      [word("calls"), number(sum((row) => row.calls))],
      [word("minutes"), decimal(sum((row) => row.minutes))],
      [word("cost"), usd(sum((row) => row.cost_usd))],
      [word("cost_unknown"), unknown > 0 ? number(unknown) : null],
      [word("tokens_in"), number(sum(({ tokens }) => fresh(tokens)))],
      [word("tokens_cached"), number(sum(({ tokens }) => cached(tokens)))],
      [word("tokens_out"), number(sum(({ tokens }) => output(tokens)))],
    ], { class: "facts large" }),
  );
}

function asTable(stats, grouped, isTime) {
  const figures = ["calls", "minutes", "cost", "tokens_in", "tokens_cached", "tokens_out", "greeting", "median", "p95"];
  const names = [word(`by_${grouped}`), ...figures.map((name) => word(name))];
  const rows = stats.map((row) => [
    isTime ? periodFully(row.key, grouped) : row.key || "–",
    number(row.calls), decimal(row.minutes), usd(row.cost_usd), number(fresh(row.tokens)), number(cached(row.tokens)),
    number(output(row.tokens)), ms(row.greeting.p50_ms), ms(row.turn_p50.p50_ms), ms(row.turn_p95.p95_ms),
  ]);
  return table(word("usage"), names, rows, names.map((_, at) => at).slice(1));
}

/** Adds the days or hours without calls. Their keys are local times with the UTC offset of the daemon's machine. */
function filled(stats, grouped) {
  const offset = stats[0].key.slice(19);
  const step = grouped === "hour" ? HOUR_MS : 24 * HOUR_MS;
  const at = ({ key }) => Date.parse(`${key.slice(0, 19)}Z`);
  const [first, last] = [at(stats[0]), at(stats.at(-1))];
  if (!((last - first) / step < FILLED)) return stats;
  const known = new Map(stats.map((row) => [at(row), row]));
  const all = [];
  for (let time = first; time <= last; time += step) {
    all.push(known.get(time) ?? { key: new Date(time).toISOString().slice(0, 19) + offset });
  }
  return all;
}

/**
 * A date of this browser, which may differ from that of the daemon's machine. It is only the initial value of a
 * filter.
 */
function daysAgo(days) {
  const date = new Date();
  date.setDate(date.getDate() - days);
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
