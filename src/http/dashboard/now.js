// Now: the calls in progress, live.
//
// Events change a model, and the next animation frame redraws what has changed, card by card. Cards are never created
// again, and new cards are added at the end, so that no card moves under a finger that is about to hang up.

import { json, pathOf, post } from "/dashboard/api.js";
import { confirm, failure, note, say } from "/dashboard/ask.js";
import { el, setAttribute, setText } from "/dashboard/dom.js";
import { agentOf, caller, clock, ms, number, usd } from "/dashboard/format.js";
import { word } from "/dashboard/words.js";

/** The lowest level that is shown, in dBFS. */
const QUIET_DBFS = -60;
/** The pause after the daemon has refused a stream. The browser reopens a stream that breaks by itself. */
const AGAIN_MS = 5_000;
/**
 * A running daemon sends something every 2 s. A shorter time would take a slow connection for a dead daemon; a longer
 * one would show old data for longer.
 */
const SILENT_MS = 8_000;

/** Shows the view. The returned function ends it. */
export function show(place, { mayChange }) {
  const calls = new Map();
  const cards = new Map();
  const changed = new Set();
  let state = null;
  /**
   * `opening`: nothing has arrived on this stream yet. `heard`: events arrive. `lost`: the page may show old data.
   */
  let stream = "opening";
  let heardAt = 0;
  let ended = false;
  let frame = 0;
  let again = 0;
  let source;

  const count = el("p", { class: "count", id: "count" });
  const chips = el("ul", { class: "chips", "aria-label": word("state") });
  const list = el("div", { class: "cards" });
  const said = el("div", {}, note(word("connecting")));
  place.append(el("div", { class: "head" }, el("h1", {}, word("now")), count, chips), said, list);

  const destinations = () => state?.destinations ?? [];

  const draw = () => {
    frame = 0;
    for (const id of changed) {
      const call = calls.get(id);
      const card = cards.get(id);
      if (call && card) {
        card.update(call, destinations().length > 0);
      } else if (call) {
        const made = new Card(id, mayChange, () => calls.get(id), destinations);
        made.update(call, destinations().length > 0);
        cards.set(id, made);
        list.append(made.element);
      } else if (card) {
        card.element.remove();
        cards.delete(id);
      }
    }
    changed.clear();
    const most = state?.max_calls;
    setText(count, word(calls.size === 1 ? "one_call" : "count_calls", { count: number(calls.size) })
      + (most ? ` · ${word("at_most", { count: number(most) })}` : ""));
    if (stream === "lost") return;
    if (state) drawState(chips, state);
    if (calls.size === 0) said.replaceChildren(note(word("no_calls")));
    else said.replaceChildren();
  };
  const soon = () => {
    if (!frame) frame = requestAnimationFrame(draw);
  };

  /** Marks everything as unknown: no state is shown as good, and the clocks stop. */
  const lose = () => {
    if (ended || stream === "lost") return;
    stream = "lost";
    list.classList.add("is-stale");
    said.replaceChildren(failure({ words: word("stream_lost") }));
    drawChips(chips, [["daemon", word("service"), word("no_news"), false]]);
  };

  const take = (told, isFirst) => {
    heardAt = performance.now();
    if (stream !== "heard") {
      stream = "heard";
      list.classList.remove("is-stale");
    }
    if (isFirst) {
      const there = new Set(told.calls.map((call) => call.id));
      for (const id of calls.keys()) if (!there.has(id)) forget(id);
    }
    for (const call of told.calls) {
      // The daemon omits words that have not changed.
      const words = call.words ?? calls.get(call.id)?.words ?? [];
      calls.set(call.id, { ...call, words, began: performance.now() - call.seconds * 1_000 });
      changed.add(call.id);
    }
    for (const id of told.gone ?? []) forget(id);
    if (told.state) {
      state = told.state;
      for (const id of calls.keys()) changed.add(id);
    }
    soon();
  };
  const forget = (id) => {
    calls.delete(id);
    changed.add(id);
  };

  const connect = () => {
    let isFirst = true;
    if (stream === "heard") stream = "opening";
    heardAt = performance.now();
    source = new EventSource("/calls/live/events");
    source.addEventListener("open", () => {
      isFirst = true;
    });
    source.addEventListener("live", (event) => {
      take(JSON.parse(event.data), isFirst);
      isFirst = false;
    });
    source.addEventListener("error", () => {
      if (ended) return;
      lose();
      if (source.readyState !== EventSource.CLOSED) return;
      // An EventSource does not say why it was refused. An ordinary request finds out whether the login has ended.
      json("/calls/live").catch(() => {});
      again = setTimeout(connect, AGAIN_MS);
    });
  };
  connect();
  // A hidden page closes its stream, because a browser has only six connections to a server for all of its windows.
  const looked = () => {
    source.close();
    clearTimeout(again);
    if (!document.hidden) connect();
  };
  document.addEventListener("visibilitychange", looked);

  const ticking = setInterval(() => {
    if (document.hidden) return;
    // A connection that is open but silent may be dead without notice.
    if (performance.now() - heardAt > SILENT_MS && source.readyState !== EventSource.CLOSED) {
      lose();
      source.close();
      connect();
    }
    if (stream !== "heard") return;
    for (const [id, card] of cards) card.tick(calls.get(id));
  }, 1_000);

  return () => {
    ended = true;
    source.close();
    document.removeEventListener("visibilitychange", looked);
    clearInterval(ticking);
    clearTimeout(again);
    cancelAnimationFrame(frame);
  };
}

function drawState(chips, state) {
  const { asterisk, ready, reasons = [], disk_writing: disk } = state;
  const { spending_unlimited: unlimited, configuration_refused: refused, sip_webhook: webhook = "off" } = state;
  const openai = ["openai_outage", "openai_failing"].find((reason) => reasons.includes(reason));
  // Obstacles that have a chip of their own are not listed again.
  const own = ["asterisk_away", "application_replaced", "openai_failing", "openai_outage"];
  const others = reasons.filter((reason) => !own.includes(reason));
  const service = ready
    ? word("ready")
    : others.map((reason) => word(`obstacle_${reason}`, {}, reason)).join(", ") || word("not_ready");
  const rows = [
    ["asterisk", word("asterisk"), word(`asterisk_${asterisk}`, {}, asterisk), asterisk === "connected"],
    ["openai", word("openai"), word(openai ?? "well"), !openai],
    ["disk", word("disk"), word(disk ? "disk_writing" : "failing"), disk],
    ["ready", word("service"), service, ready],
  ];
  if (webhook !== "off") rows.push(["webhook", word("webhook"), word(`webhook_${webhook}`, {}, webhook), webhook === "listening"]);
  if (refused) rows.push(["configuration", word("configuration"), word("configuration_refused"), false]);
  if (unlimited) rows.push(["spending", word("spending"), word("spending_unlimited"), false]);
  drawChips(chips, rows);
}

/** Draws chips from rows of id, name, text, and whether the state is good. */
function drawChips(chips, rows) {
  const told = JSON.stringify(rows);
  if (chips.dataset.told === told) return;
  chips.dataset.told = told;
  chips.replaceChildren(
    ...rows.map(([id, name, text, isWell]) =>
      el("li", { class: `chip ${isWell ? "is-well" : "is-ill"}`, "data-of": id }, el("strong", {}, name), ` ${text}`)),
  );
}

/** A level meter from −60 to 0 dBFS. */
class Level {
  constructor(side) {
    this.bar = el("div", { class: "bar" });
    this.meter = el(
      "div",
      {
        class: `level ${side}`, role: "meter", "aria-label": word("level_of", { side: word(side) }),
        "aria-valuemin": QUIET_DBFS, "aria-valuemax": 0,
      },
      this.bar,
    );
    this.element = el("div", { class: "voice" }, el("span", { "aria-hidden": "true" }, word(side)), this.meter);
  }

  update(dbfs) {
    const level = Math.min(0, Math.max(QUIET_DBFS, dbfs ?? QUIET_DBFS));
    const rounded = String(Math.round(level));
    if (this.meter.getAttribute("aria-valuenow") === rounded) return;
    this.meter.setAttribute("aria-valuenow", rounded);
    this.meter.setAttribute("aria-valuetext", dbfs === null ? word("silence") : `${rounded} dB`);
    this.bar.style.setProperty("transform", `scaleX(${1 - level / QUIET_DBFS})`);
  }
}

/** The card of one call. */
class Card {
  constructor(id, mayChange, now, destinations) {
    const text = (name, attributes = {}) => (this[name] = el("span", attributes));
    const figure = (name, label) => el("div", {}, el("dt", {}, label), el("dd", {}, text(name)));
    this.name = el("a", { href: `#/call/${encodeURIComponent(id)}` });
    this.levels = { caller: new Level("caller"), assistant: new Level("assistant") };
    this.words = el("ol", { class: "words" });
    this.lines = new Map();
    const button = (text, click, kind = null) => el("button", { type: "button", class: kind, on: { click } }, text);
    this.transfer = button(word("transfer"), () => transfer(id, now(), destinations()));
    this.hangUp = button(word("hang_up"), () => hangUp(id, now()), "danger");
    const buttons = el("div", { class: "buttons" }, this.transfer, this.hangUp);
    this.element = el(
      "article",
      { class: "card call", "data-id": id },
      el("header", {}, el("h2", {}, this.name), text("duration", { class: "duration" })),
      el("p", { class: "quiet" }, text("whom")),
      el("p", { class: "turn" }, text("turn")),
      this.levels.caller.element,
      this.levels.assistant.element,
      // An element that scrolls must be reachable with the keyboard.
      el("div", { class: "talk", role: "group", "aria-label": word("transcript"), tabindex: 0 }, this.words),
      el(
        "dl",
        { class: "figures" },
        figure("greeting", word("greeting")),
        figure("last", word("last_turn")),
        figure("median", word("median")),
        figure("slowest", word("p95")),
        figure("turns", word("turns")),
        figure("interruptions", word("interruptions")),
        figure("cost", word("cost")),
      ),
      mayChange ? buttons : null,
    );
  }

  update(call, canTransfer) {
    setText(this.name, caller(call.caller));
    // Users of screen readers could not distinguish many buttons with the same name.
    setAttribute(this.hangUp, "aria-label", `${word("hang_up")}: ${caller(call.caller)}`);
    setAttribute(this.transfer, "aria-label", `${word("transfer")}: ${caller(call.caller)}`);
    setText(this.whom, [call.called && `→ ${call.called}`, agentOf(call), call.model].filter(Boolean).join(" · "));
    const who = speaks(call);
    setText(this.turn, word(`turn_${who}`, {}, who));
    setAttribute(this.element, "data-turn", who);
    this.levels.caller.update(call.caller_dbfs);
    this.levels.assistant.update(call.assistant_dbfs);
    setText(this.greeting, ms(call.greeting_ms));
    setText(this.last, ms(call.last_turn_ms));
    setText(this.median, ms(call.turn_p50_ms));
    setText(this.slowest, ms(call.turn_p95_ms));
    setText(this.turns, number(call.turns));
    setText(this.interruptions, number(call.interruptions));
    setText(this.cost, usd(call.cost_usd));
    this.transfer.hidden = !canTransfer;
    this.say(call.words);
    this.tick(call);
  }

  /** Updates the duration between two events. */
  tick(call) {
    if (call) setText(this.duration, clock((performance.now() - call.began) / 1_000));
  }

  say(words) {
    const there = new Set(words.map(({ item }) => item));
    for (const [item, line] of this.lines) {
      if (!there.has(item)) {
        line.element.remove();
        this.lines.delete(item);
      }
    }
    for (const [place, { item, speaker, text, final }] of words.entries()) {
      let line = this.lines.get(item);
      if (!line) {
        const said = el("span");
        const side = speaker === "user" ? "caller" : "assistant";
        line = { said, element: el("li", { class: side }, el("b", {}, `${word(side)}: `), said) };
        this.lines.set(item, line);
      }
      // A caller's words may arrive after the answer to them, but are placed before it.
      const there = this.words.children[place];
      if (there !== line.element) this.words.insertBefore(line.element, there ?? null);
      setText(line.said, text);
      line.element.classList.toggle("is-open", !final);
    }
  }
}

/** Who is speaking, in one word. */
function speaks({ turn, caller_speaks: callerSpeaks }) {
  if (callerSpeaks && turn === "speaking") return "both";
  return callerSpeaks && turn !== "setting_up" && turn !== "ending" ? "caller" : turn;
}

async function hangUp(id, call) {
  if (!call) return;
  const yes = await confirm({
    title: word("hang_up_title"), text: word("hang_up_text", { caller: caller(call.caller) }), action: word("hang_up"),
  });
  if (yes) await send(`${pathOf("calls", id)}/hangup`, undefined, "hanging_up");
}

async function transfer(id, call, destinations) {
  if (!call) return;
  const destination = await confirm({
    title: word("transfer_title"), text: word("transfer_text", { caller: caller(call.caller) }),
    action: word("transfer"), choices: destinations, danger: false,
  });
  if (destination) await send(`${pathOf("calls", id)}/transfer`, { destination }, "transferring");
}

async function send(path, body, done) {
  try {
    await post(path, body);
    say(word(done));
  } catch (error) {
    say(error.words ?? String(error));
  }
}
