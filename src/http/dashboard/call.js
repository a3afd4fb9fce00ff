// One call: its row of the call log and, if it was recorded, its audio, words, events and latency.

import { ask, json, pathOf, withQuery } from "/dashboard/api.js";
import { confirm, failure, note, say } from "/dashboard/ask.js";
import { el, facts, scrolling, table } from "/dashboard/dom.js";
import { agentOf, callerOf, clock, decimal, ms, number, reason, usd, when, whenFully } from "/dashboard/format.js";
import { bars } from "/dashboard/plot.js";
import { sound } from "/dashboard/sound.js";
import { word } from "/dashboard/words.js";

/** The number of stays of one call that are shown. Further ones can be found in the list of calls. */
const STAYS = 20;

/** Shows the view. The returned function ends it. */
export function show(place, { id, mayChange }) {
  let player = null;
  let plots = [];
  let isOver = false;

  const load = async () => {
    player?.leave();
    for (const plot of plots) plot.leave();
    [player, plots] = [null, []];
    let call;
    try {
      call = await json(pathOf("calls", id));
    } catch (error) {
      const isUnknown = error.code === "no_such_call";
      const shown = isUnknown ? failure({ words: word("call_unknown") }) : failure(error);
      if (!isOver) place.replaceChildren(shown);
      return;
    }
    const recording = call.recording_id && (await recorded(call.recording_id));
    const others = await otherStays(call);
    if (isOver) return;
    draw(call, recording, others);
  };

  const draw = (call, recording, others) => {
    const parts = [head(call), overview(call, others)];
    if (!recording) {
      parts.push(note(word("not_recorded")));
    } else if (recording.problem) {
      const isGone = recording.problem.code === "no_such_recording";
      parts.push(isGone ? note(word("recording_gone")) : failure(recording.problem));
    } else {
      const talk = transcript(recording.conversation, (seconds) => player?.go(seconds, true));
      const path = pathOf("recordings", call.recording_id);
      if (recording.hasSound) {
        player = sound(`${path}/audio`, interruptions(recording.conversation), talk.follow);
        parts.push(el("section", { class: "card" }, el("h2", {}, word("sound")), player.element));
      } else if (call.ended_at) {
        parts.push(note(word("no_sound")));
      }
      const latency = latencies(recording.conversation, (seconds) => player?.go(seconds, true));
      plots = latency.plots;
      parts.push(
        el(
          "div",
          { class: "columns" },
          talk.element,
          el("div", {}, latency.element, used(recording.conversation.tools), reported(recording.conversation.report), happened(recording.events), files(call, path)),
        ),
      );
    }
    place.replaceChildren(...parts.filter(Boolean));
    for (const plot of plots) plot.draw();
  };

  const files = (call, path) => {
    const link = (route, ending, text) =>
      el("a", { class: "button", href: `${path}/${route}`, download: `${call.recording_id}_${ending}` }, text);
    const erase = el("button", { type: "button", class: "danger", on: { click: () => remove(path) } }, word("delete"));
    return el(
      "section",
      { class: "card" },
      el("h2", {}, word("files")),
      el(
        "div",
        { class: "buttons" },
        link("audio", "audio.wav", word("download_sound")),
        link("conversation", "conversation.json", word("download_words")),
        link("summary", "summary.txt", word("download_summary")),
        mayChange && call.ended_at ? erase : null,
      ),
    );
  };

  const remove = async (path) => {
    const yes = await confirm({ title: word("delete_title"), text: word("delete_text"), action: word("delete") });
    if (!yes) return;
    try {
      await ask(path, { method: "DELETE" });
      say(word("deleted"));
    } catch (error) {
      say(error.words ?? String(error));
    }
    await load();
    if (!isOver) place.focus();
  };

  place.append(note(word("loading")));
  load();
  return () => {
    isOver = true;
    player?.leave();
    for (const plot of plots) plot.leave();
  };
}

/** Fetches what exists of a recording, or the reason why the recording cannot be read. */
async function recorded(id) {
  const path = pathOf("recordings", id);
  try {
    const conversation = await json(`${path}/conversation`);
    const events = await json(`${path}/events`).catch(() => conversation.events ?? []);
    const hasSound = await ask(`${path}/audio`, { method: "HEAD" }).then(() => true, () => false);
    return { conversation, events, hasSound };
  } catch (problem) {
    return { problem };
  }
}

function head(call) {
  const whom = [call.called && `→ ${call.called}`, whenFully(call.offered_at)].filter(Boolean).join(" · ");
  return el("div", { class: "head" }, el("h1", {}, callerOf(call)), el("p", { class: "quiet" }, whom));
}

/** Links to the other stays of a caller who returned in the same call. */
async function otherStays(call) {
  const { calls } = await json(withQuery("/calls", { id: call.id, limit: STAYS })).catch(() => ({ calls: [] }));
  const others = calls.filter((other) => other.row_id !== call.row_id);
  const link = ({ row_id, offered_at }) => el("a", { href: `#/call/${encodeURIComponent(row_id)}` }, when(offered_at));
  return others.length === 0 ? null : el("span", {}, others.flatMap((other, at) => [at ? " · " : "", link(other)]));
}

function overview(call, others) {
  const tokens = call.tokens && word("tokens_of", {
    input: number(call.tokens.text_in + call.tokens.audio_in),
    cached: number(call.tokens.cached_text_in + call.tokens.cached_audio_in),
    output: number(call.tokens.text_out + call.tokens.audio_out),
  });
  return el(
    "section",
    { class: "card" },
    facts([
      [word("duration"), call.ended_at ? clock(call.duration_seconds) : word("running")],
      [word("end"), call.ended_at ? reason(call.end_reason) : null],
      [word("agent"), agentOf(call)],
      [word("model"), call.model],
      [word("turns"), number(call.turns)],
      [word("interruptions"), number(call.interruptions)],
      [word("greeting"), ms(call.greeting_ms)],
      [word("median"), ms(call.turn_p50_ms)],
      [word("p95"), ms(call.turn_p95_ms)],
      [word("cost"), usd(call.cost_usd)],
      [word("tokens"), tokens && (call.tokens.estimated ? `≈ ${tokens}` : tokens)],
      [word("host"), call.host],
      [word("id"), call.id],
      [word("other_stays"), others],
    ]),
  );
}

/** The positions, in seconds, at which the caller interrupted the assistant. */
const interruptions = (conversation) =>
  (conversation.conversation ?? [])
    .filter((said) => said.interrupted && Number.isFinite(said.end_ms))
    .map((said) => said.end_ms / 1_000);

/** The transcript. A click on a line plays the audio from there, and the line that is heard is highlighted. */
function transcript(conversation, go) {
  const lines = (conversation.conversation ?? []).map((said) => {
    const side = said.speaker === "user" ? "caller" : "assistant";
    const isPlaced = Number.isFinite(said.start_ms);
    const start = isPlaced ? said.start_ms / 1_000 : null;
    const content = [
      el("span", { class: "at" }, isPlaced ? clock(start) : ""),
      el("b", {}, word(side)),
      el("span", { class: "text" }, spoken(said)),
      said.interrupted
        ? el("span", { class: "cut" }, Number.isFinite(said.said_ms)
          ? word("heard_of", { heard: decimal(said.heard_ms / 1_000), said: decimal(said.said_ms / 1_000) })
          : word("cut_off"))
        : null,
    ];
    const line = isPlaced
      ? el("button", { type: "button", class: "line", on: { click: () => go(start) } }, content)
      : el("div", { class: "line" }, content);
    const end = Number.isFinite(said.end_ms) ? said.end_ms / 1_000 : start;
    return { element: el("li", { class: side }, line), line, start, end };
  });
  let lit = null;
  const follow = (seconds, isPlaying) => {
    // If both speak at once, the line that began last counts.
    const heard = lines.findLast(({ start, end }) => start !== null && start <= seconds && seconds < end) ?? null;
    if (heard === lit) return;
    lit?.line.removeAttribute("aria-current");
    heard?.line.setAttribute("aria-current", "true");
    lit = heard;
    if (heard && isPlaying) {
      const [box, line] = [list.getBoundingClientRect(), heard.element.getBoundingClientRect()];
      // Only the list scrolls by itself, never the page.
      if (line.top < box.top || line.bottom > box.bottom) list.scrollTop += line.top - box.top - box.height / 3;
    }
  };
  const named = { class: "transcript", "aria-label": word("transcript"), tabindex: 0 };
  const list = el("ol", named, lines.map(({ element }) => element));
  const shown = lines.length > 0 ? list : note(word("no_words"));
  return { element: el("section", { class: "card" }, el("h2", {}, word("transcript")), shown), follow };
}

/** The words of an utterance, with those marked that the caller did not hear. */
function spoken({ text, interrupted, heard_text: heard }) {
  if (!interrupted || heard === undefined || !text.startsWith(heard)) return text;
  const rest = text.slice(heard.length);
  return rest ? [heard, el("s", { class: "unheard", title: word("unheard") }, rest)] : text;
}

/**
 * For each turn: when the end of the caller's speech was detected, the model's first audio, and the first frame to
 * the caller.
 */
function latencies({ latency }, go) {
  const turns = latency?.turns ?? [];
  const bargeIns = latency?.barge_ins ?? [];
  if (turns.length === 0 && bargeIns.length === 0) return { element: null, plots: [] };
  const at = (seconds) => {
    const click = () => go(seconds);
    return el("button", { type: "button", class: "link", on: { click } }, clock(seconds));
  };
  const parts = [];
  const plots = [];
  if (turns.length > 0) {
    const stopped = turns.map((turn) => turn.speech_stopped_ms ?? 0);
    const ofModel = turns.map((turn, n) => Math.max(0, turn.first_frame_ms - turn.own_ms - stopped[n]));
    const plot = bars({
      title: word("latency_by_turn"),
      keys: turns.map((turn) => ({ label: clock(turn.at_seconds), title: clock(turn.at_seconds) })),
      series: [
        { name: word("end_of_speech"), values: stopped },
        { name: word("of_model"), values: ofModel },
        { name: word("of_daemon"), values: turns.map((turn) => turn.own_ms) },
      ],
      format: ms,
    });
    plots.push(plot);
    parts.push(
      plot.element,
      el(
        "details",
        {},
        el("summary", {}, word("as_table")),
        scrolling(table(
          word("latency_why"),
          [word("at"), word("end_of_speech"), word("first_sound"), word("first_frame"), word("of_daemon")],
          turns.map((turn) => [
            at(turn.at_seconds), ms(turn.speech_stopped_ms), ms(turn.first_delta_ms), ms(turn.first_frame_ms),
            ms(turn.own_ms),
          ]),
          [1, 2, 3, 4],
        )),
      ),
    );
  }
  if (bargeIns.length > 0) {
    const rows = bargeIns.map((one) => el("li", {}, at(one.at_seconds), ` ${ms(one.ms)}`));
    parts.push(el("h3", {}, word("barge_ins")), el("ul", { class: "plain" }, rows));
  }
  return { element: el("section", { class: "card" }, el("h2", {}, word("latency")), parts), plots };
}

/** The reason why the call ended is a code that is translated. All other details are shown as recorded. */
const detail = ({ type, detail: text }) => (text ? ` ${type === "ended" ? reason(text) : text}` : "");

/** The tools that the model has called: when, with what, what came back, and how long that took. */
function used(tools) {
  if (!tools || tools.length === 0) return null;
  const rows = tools.map((tool) =>
    el(
      "li",
      {},
      el("span", { class: "at" }, clock(tool.at_ms / 1_000)),
      el("b", {}, tool.name),
      el(
        "div",
        {},
        `${word(`tool_${tool.outcome}`, {}, tool.outcome)} · ${ms(tool.ms)}`,
        tool.attempts > 1 ? ` · ${word("attempts", { count: tool.attempts })}` : "",
        [["arguments", tool.arguments], ["result", tool.answer]].filter(([, value]) => value != null).map(([name, value]) =>
          el("details", {}, el("summary", {}, word(`tool_${name}`)), el("code", {}, JSON.stringify(value)))),
      ),
    ));
  return el("section", { class: "card" }, el("h2", {}, word("tools")), el("ol", { class: "plain tools" }, rows));
}

/** The report that the model made when the caller had left. Its fields are those of the agent's file. */
function reported(report) {
  if (!report || typeof report !== "object") return null;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const rows = Object.entries(report).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, text(value))]);
  return el("section", { class: "card" }, el("h2", {}, word("report")), el("dl", { class: "facts" }, rows));
}

function happened(events) {
  if (!events || events.length === 0) return null;
  const rows = events.map((event) =>
    el(
      "li",
      {},
      el("span", { class: "at" }, clock(event.at_ms / 1_000)),
      el("b", {}, word(`event_${event.type}`, {}, event.type)),
      detail(event),
    ));
  return el("section", { class: "card" }, el("h2", {}, word("events")), el("ol", { class: "plain events" }, rows));
}
