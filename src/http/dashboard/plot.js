// Plots as SVG: stacked bars, and lines. A table beside each plot shows the same data for screen readers, which
// therefore announce only the title of the plot.

import { el, svg } from "/dashboard/dom.js";

const HEIGHT = 180;
const [RIGHT, TOP, BOTTOM] = [8, 8, 24];
/** The maximum width of a bar, in pixels. */
const WIDEST = 72;
/** The width of a letter on the axis, and the space beside the label, in pixels. */
const [LETTER, BESIDE] = [7, 10];
/** The width reserved for a label on the axis, in pixels. */
const LABEL = 72;
const LINES = 4;

/**
 * Stacked bars. Each of `keys` has a label and a title; each of `series` has a name and a value for each key. `least` is
 * the smallest step of the axis, because there are no half calls, for example.
 */
export const bars = (of) => plot(of, drawBars, (values) => values.reduce((sum, value) => sum + (value ?? 0), 0));

/** Lines. An unknown value leaves a gap. */
export const lines = (of) => plot(of, drawLines, (values) => Math.max(0, ...values.map((value) => value ?? 0)));

function plot({ title, keys, series, format, least = 0 }, drawInto, most) {
  const place = el("div", { class: series.length > 1 ? "plot" : "plot single" });
  const highest = Math.max(...keys.map((_, at) => most(series.map(({ values }) => values[at]))), 0);
  const step = Math.max(least, nice(highest / LINES));
  const top = Math.max(step, Math.ceil(highest / step) * step);
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  const left = Math.max(...ticks.map((value) => format(value).length)) * LETTER + BESIDE;
  let drawn = 0;

  const draw = () => {
    const width = place.clientWidth;
    if (width === 0 || width === drawn) return;
    drawn = width;
    const inner = { width: width - left - RIGHT, height: HEIGHT - TOP - BOTTOM };
    const y = (value) => TOP + inner.height * (1 - value / top);
    const band = inner.width / Math.max(1, keys.length);
    const x = (at) => left + band * at;
    const size = { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT };
    const picture = svg("svg", { ...size, role: "img", "aria-label": title });
    for (const value of ticks) {
      picture.append(
        svg("line", { class: "grid", x1: left, x2: width - RIGHT, y1: y(value), y2: y(value) }),
        svg("text", { class: "axis", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)),
      );
    }
    const every = Math.max(1, Math.ceil((keys.length * LABEL) / inner.width));
    keys.forEach(({ label }, at) => {
      if (at % every === 0) {
        const middle = { x: x(at) + band / 2, y: HEIGHT - 6, "text-anchor": "middle" };
        picture.append(svg("text", { class: "axis", ...middle }, label));
      }
    });
    drawInto(picture, { keys, series, format, x, y, band });
    place.replaceChildren(picture);
  };
  const resized = new ResizeObserver(draw);
  resized.observe(place);

  const legend = series.length > 1
    ? el("p", { class: "legend" }, series.map(({ name }, n) => el("span", { class: `key s${n}` }, name)))
    : null;
  const element = el("figure", {}, el("figcaption", {}, title), legend, place);
  return { element, draw, leave: () => resized.disconnect() };
}

function drawBars(picture, { keys, series, format, x, y, band }) {
  const wide = Math.max(1, Math.min(WIDEST, band * 0.86));
  keys.forEach(({ title }, at) => {
    let below = 0;
    const named = (name) => (series.length > 1 ? `${name}: ` : "");
    const told = series.map(({ name, values }) => named(name) + format(values[at])).join(" · ");
    series.forEach(({ values }, n) => {
      const value = values[at] ?? 0;
      if (value <= 0) return;
      const [high, low] = [y(below + value), y(below)];
      below += value;
      const place = { x: x(at) + (band - wide) / 2, width: wide, y: high, height: Math.max(0.5, low - high) };
      picture.append(svg("rect", { class: `s${n}`, ...place }, svg("title", {}, `${title}: ${told}`)));
    });
  });
}

function drawLines(picture, { keys, series, format, x, y, band }) {
  series.forEach(({ name, values }, n) => {
    let path = "";
    let isDown = false;
    values.forEach((value, at) => {
      const isKnown = value !== null && value !== undefined;
      if (isKnown) path += `${isDown ? "L" : "M"}${x(at) + band / 2} ${y(value)}`;
      isDown = isKnown;
    });
    picture.append(svg("path", { class: `curve s${n}`, d: path }));
    values.forEach((value, at) => {
      if (value === null || value === undefined) return;
      const place = { cx: x(at) + band / 2, cy: y(value), r: 3 };
      const told = svg("title", {}, `${keys[at].title}: ${name} ${format(value)}`);
      picture.append(svg("circle", { class: `s${n}`, ...place }, told));
    });
  });
}

/** The smallest of 1, 2, 5, 10, 20, 50, … that is not below the value. */
function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value * 0.999_999);
}
