// Formats numbers, times and money in the reader's language. An unknown value is shown as a dash.

import { language, word } from "/dashboard/words.js";

const NONE = "–";
const known = (value, show) => (value === null || value === undefined ? NONE : show(value));

// The region comes from the browser if the browser's language is that of the page: es-CO writes numbers differently
// from es-ES.
const locale = navigator.languages.find((tag) => tag.toLowerCase().startsWith(language)) ?? language;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const money = (digits) =>
  new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    // For most readers of Spanish, "$" is a peso.
    currencyDisplay: "code",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  });
const cents = money(2);
const fractions = money(4);
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });

export const number = (value) => known(value, (n) => whole.format(n));
export const decimal = (value) => known(value, (n) => tenths.format(n));
export const short = (value) => known(value, (n) => compact.format(n));
export const ms = (value) => known(value, (n) => `${whole.format(n)} ms`);
/** Formats US dollars. A call costs fractions of a cent. */
export const usd = (value) => known(value, (n) => (n !== 0 && Math.abs(n) < 1 ? fractions : cents).format(n));
export const when = (iso) => known(iso, (text) => moment.format(new Date(text)));
export const whenFully = (iso) => known(iso, (text) => full.format(new Date(text)));

/** Formats seconds as a clock: 4:05, 1:02:03. */
export const clock = (seconds) =>
  known(seconds, (value) => {
    const all = Math.max(0, Math.floor(value));
    const two = (n) => String(n).padStart(2, "0");
    const [hours, minutes] = [Math.floor(all / 3_600), Math.floor(all / 60) % 60];
    return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
  });

/**
 * Formats the beginning of a day or hour briefly, for an axis. The time is the local time of the daemon's machine and is
 * not converted to that of the browser.
 */
export function period(key, by) {
  const at = new Date(`${key.slice(0, 19)}Z`);
  if (Number.isNaN(at.getTime())) return key;
  const style = by === "hour" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(at);
}

/** Formats the beginning of a day or hour in full. */
export function periodFully(key, by) {
  const at = new Date(`${key.slice(0, 19)}Z`);
  if (Number.isNaN(at.getTime())) return key || NONE;
  const style = by === "hour" ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "full" };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(at);
}

/** Formats a phone number as it was dialled, or returns a word if there is none. */
export const caller = (number) => number || word("withheld");
/** Formats the caller of a call from the call log. */
export const callerOf = (call) => (call.erased ? word("erased") : caller(call.caller));

/** Formats the agent of a call, with the version of its files if it has files. */
export const agentOf = (call) => (call.agent_version ? `${call.agent} (${call.agent_version})` : call.agent);

/** Formats the reason why a call ended. */
export const reason = (code) => (code ? word(`reason_${code}`, {}, code) : word("running"));
