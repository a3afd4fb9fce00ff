// What the page asks of the daemon. The login's cookie goes with every request by itself.

import { word } from "/dashboard/words.js";

/** An answer that is an error: the daemon's problem, or none at all. */
class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  /** What to tell people: the daemon's own words, which are English, where we have none. */
  get words() {
    return word(`problem_${this.code}`, {}, this.message);
  }
}

/** Asks; answers with the response of a success. A lost login is told to the document. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "no_answer", String(error));
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const problem = new Problem(response.status, told.code ?? "no_answer", told.detail ?? response.statusText);
  if (problem.code === "token_needed") document.dispatchEvent(new Event("login-needed"));
  throw problem;
}

/** Asks for JSON. */
export async function json(path, options) {
  return (await ask(path, options)).json();
}

/** Sends JSON. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers };
  return ask(path, { method: "POST", ...sent });
}

/** A path with these parameters; the empty ones are left out. */
export function withQuery(path, parameters) {
  const isFilled = (value) => value !== "" && value !== null && value !== undefined;
  const filled = Object.entries(parameters).filter(([, value]) => isFilled(value));
  return filled.length === 0 ? path : `${path}?${new URLSearchParams(filled)}`;
}

/** The path of a call or a recording. */
export const pathOf = (kind, id) => `/${kind}/${encodeURIComponent(id)}`;
