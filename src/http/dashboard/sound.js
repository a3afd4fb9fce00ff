// The audio of a recording: a waveform of both sides, and a player.
//
// The WAV file is G.711 µ-law, 8 kHz, with the caller on the left channel and the assistant on the right. The script
// keeps only the loudest sample of each slice, so an hour takes no more memory than a minute, and the page stays
// responsive between two pieces. The browser's own player plays the audio and fetches the parts that it needs.

import { ask } from "/dashboard/api.js";
import { failure } from "/dashboard/ask.js";
import { el } from "/dashboard/dom.js";
import { clock } from "/dashboard/format.js";
import { word } from "/dashboard/words.js";

/** Samples per second. */
const RATE = 8_000;
/** The number of slices in a drawing, about the width of the widest screen in pixels. */
const SLICES = 2_000;
const ULAW = 7;
/** The number of seconds by which the arrow keys move. */
const STEP = 5;
const LEAP = 30;

/** The loudness of each µ-law byte, from 0 to 1 (G.711). */
const LOUDNESS = Float32Array.from({ length: 256 }, (_, byte) => {
  const bits = ~byte & 0xff;
  return ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
}).map((value) => value / 32_124);

/** The peaks of both sides, which are collected while the audio arrives. */
class Peaks {
  constructor(frames) {
    this.frames = frames;
    this.perSlice = Math.max(1, Math.ceil(frames / SLICES));
    this.sides = [new Float32Array(SLICES), new Float32Array(SLICES)];
    this.at = 0;
  }

  /** Adds the next bytes, which alternate between left and right. */
  take(bytes) {
    for (const byte of bytes) {
      const slice = Math.floor(this.at / 2 / this.perSlice);
      const side = this.sides[this.at % 2];
      if (slice < SLICES && LOUDNESS[byte] > side[slice]) side[slice] = LOUDNESS[byte];
      this.at += 1;
    }
  }

  /** The number of seconds that all slices together represent. */
  get seconds() {
    return (this.perSlice * SLICES) / RATE;
  }
}

/** Finds the beginning of the audio in a WAV file. Returns null if the file is not a recording of the daemon. */
function dataAt(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || name(0) !== "RIFF") return null;
  let isOurs = false;
  for (let at = 12; at + 8 <= bytes.length; ) {
    if (name(at) === "data") return isOurs ? at + 8 : null;
    if (name(at) === "fmt ") {
      isOurs = view.getUint16(at + 8, true) === ULAW && view.getUint16(at + 10, true) === 2;
    }
    at += 8 + view.getUint32(at + 4, true);
  }
  return null;
}

/** Fetches the audio and draws it while it arrives. */
async function read(path, signal, begin, draw) {
  const response = await ask(path, { signal });
  const total = Number(response.headers.get("Content-Length"));
  const reader = response.body.getReader();
  let [head, peaks] = [new Uint8Array(0), null];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (peaks) {
      peaks.take(value);
    } else {
      head = Uint8Array.from([...head, ...value]);
      const at = dataAt(head);
      if (at === null) {
        if (head.length > 4_096) return false;
        continue;
      }
      peaks = new Peaks((total - at) / 2);
      begin(peaks);
      peaks.take(head.subarray(at));
    }
    draw();
  }
  draw();
  return peaks !== null;
}

/**
 * The player and the waveform of the audio at this path. `tick` receives the position in seconds while the audio plays;
 * `marks` are positions in seconds that are marked. Returns the element, a function that goes to a position and plays
 * from there, and a function that ends both.
 */
export function sound(path, marks, tick) {
  const audio = el("audio", { controls: true, preload: "metadata", src: path });
  const canvas = el("canvas", { "aria-hidden": "true" });
  const playhead = el("div", { class: "playhead" });
  const wave = el(
    "div",
    {
      class: "wave", role: "slider", tabindex: "0", "aria-label": word("waveform"), "aria-valuemin": "0",
      "aria-valuemax": "0", "aria-valuenow": "0",
    },
    canvas,
    playhead,
  );
  const said = el("div");
  const leaving = new AbortController();
  let peaks = null;
  let frame = 0;

  const seconds = () => (peaks ? peaks.frames / RATE : Number.isFinite(audio.duration) ? audio.duration : 0);
  const place = () => {
    const at = audio.currentTime;
    if (seconds() > 0) playhead.style.setProperty("left", `${(100 * Math.min(at, seconds())) / seconds()}%`);
    wave.setAttribute("aria-valuenow", String(Math.round(at)));
    wave.setAttribute("aria-valuetext", `${clock(at)} / ${clock(seconds())}`);
    tick(at, !audio.paused);
  };
  const follow = () => {
    place();
    frame = audio.paused ? 0 : requestAnimationFrame(follow);
  };
  const go = (to, play = false) => {
    audio.currentTime = Math.min(Math.max(0, to), seconds() || to);
    place();
    // A browser may refuse to play audio that the user has not started with a click.
    if (play) audio.play().catch(() => {});
  };
  audio.addEventListener("play", () => {
    if (!frame) follow();
  });
  for (const event of ["pause", "seeked", "timeupdate", "ended"]) audio.addEventListener(event, place);
  audio.addEventListener("error", () => said.replaceChildren(failure({ words: word("no_player") })));

  const pointed = (event) => {
    const box = wave.getBoundingClientRect();
    go(((event.clientX - box.left) / box.width) * seconds());
  };
  wave.addEventListener("pointerdown", (event) => {
    wave.setPointerCapture(event.pointerId);
    pointed(event);
  });
  wave.addEventListener("pointermove", (event) => {
    if (wave.hasPointerCapture(event.pointerId)) pointed(event);
  });
  wave.addEventListener("keydown", (event) => {
    const at = audio.currentTime;
    const to = {
      ArrowLeft: at - STEP, ArrowDown: at - STEP, ArrowRight: at + STEP, ArrowUp: at + STEP,
      PageDown: at - LEAP, PageUp: at + LEAP, Home: 0, End: seconds(),
    }[event.key];
    if (event.key === " ") audio.paused ? audio.play().catch(() => {}) : audio.pause();
    else if (to !== undefined) go(to);
    else return;
    event.preventDefault();
  });

  const draw = () => {
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    if (!peaks || width === 0) return;
    [canvas.width, canvas.height] = [width, height];
    const style = getComputedStyle(canvas);
    const context = canvas.getContext("2d");
    const lane = height / 2;
    const slices = Math.ceil(peaks.frames / peaks.perSlice);
    peaks.sides.forEach((side, number) => {
      const middle = lane * (number + 0.5);
      context.fillStyle = style.getPropertyValue(number === 0 ? "--caller" : "--assistant");
      for (let x = 0; x < width; x += scale) {
        const [first, last] = [Math.floor((x / width) * slices), Math.floor(((x + scale) / width) * slices)];
        let peak = 0;
        for (let slice = first; slice <= last && slice < SLICES; slice += 1) peak = Math.max(peak, side[slice]);
        // Most speech is quiet. The square root makes it visible.
        const tall = Math.max(scale, Math.sqrt(peak) * lane * 0.92);
        context.fillRect(x, middle - tall / 2, scale, tall);
      }
    });
    context.fillStyle = style.getPropertyValue("--bad");
    for (const mark of marks) context.fillRect((mark / seconds()) * width, 0, scale, height);
  };
  let asked = 0;
  const drawSoon = () => {
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      draw();
    });
  };
  const resized = new ResizeObserver(drawSoon);
  resized.observe(canvas);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", drawSoon);

  const begin = (found) => {
    peaks = found;
    wave.setAttribute("aria-valuemax", String(Math.floor(seconds())));
    place();
  };
  read(path, leaving.signal, begin, drawSoon)
    .then((drawn) => {
      wave.hidden = !drawn;
      wave.dataset.drawn = String(drawn);
    })
    .catch((error) => {
      if (error.name !== "AbortError") said.replaceChildren(failure(error));
    });

  const legend = el(
    "p",
    { class: "legend" },
    el("span", { class: "key caller" }, word("caller")),
    el("span", { class: "key assistant" }, word("assistant")),
    marks.length > 0 ? el("span", { class: "key mark" }, word("interruption")) : null,
  );
  return {
    element: el("div", { class: "sound" }, legend, wave, audio, said),
    go,
    leave: () => {
      leaving.abort();
      resized.disconnect();
      dark.removeEventListener("change", drawSoon);
      cancelAnimationFrame(frame);
      audio.pause();
      audio.removeAttribute("src");
      audio.load();
    },
  };
}
