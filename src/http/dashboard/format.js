// Numbers, times and money as the reader's language writes them. What is not known is a dash.

import { language, word } from "/dashboard/words.js";

const NONE = "–";
const known = (value, show) => (value === null || value === undefined ? NONE : show(value));

// The region is the browser's, where it speaks the language of the page: es-CO writes other numbers than es-ES.
const locale = navigator.languages.find((tag) => tag.toLowerCase().startsWith(language)) ?? language;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const money = (digits) =>
  new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    // "$" is a peso to most who read Spanish.
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
/** Dollars: a call costs fractions of a cent. */
export const usd = (value) => known(value, (n) => (n !== 0 && Math.abs(n) < 1 ? fractions : cents).format(n));
export const when = (iso) => known(iso, (text) => moment.format(new Date(text)));
export const whenFully = (iso) => known(iso, (text) => full.format(new Date(text)));

/** Seconds as a clock: 4:05, 1:02:03. */
export const clock = (seconds) =>
  known(seconds, (value) => {
    const all = Math.max(0, Math.floor(value));
    const two = (n) => String(n).padStart(2, "0");
    const [hours, minutes] = [Math.floor(all / 3_600), Math.floor(all / 60) % 60];
    return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
  });

/**
 * The beginning of a day or hour, as an axis has room for it. It is the machine's time of day, with its offset, and is
 * shown as that.
 */
export function period(key, by) {
  const at = new Date(`${key.slice(0, 19)}Z`);
  if (Number.isNaN(at.getTime())) return key;
  const style = by === "hour" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(at);
}

/** The same in full. */
export function periodFully(key, by) {
  const at = new Date(`${key.slice(0, 19)}Z`);
  if (Number.isNaN(at.getTime())) return key || NONE;
  const style = by === "hour" ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "full" };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(at);
}

/** A number as it was dialled; a word where there is none. */
export const caller = (number) => number || word("withheld");
/** Whose call of the log this is. */
export const callerOf = (call) => (call.erased ? word("erased") : caller(call.caller));

/** Why a call ended. */
export const reason = (code) => (code ? word(`reason_${code}`, {}, code) : word("running"));
