// Requests to the daemon. The browser adds the login's cookie to every request.

import { word } from "/dashboard/words.js";

/** An error answer: the problem that the daemon reports, or no answer at all. */
class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  /** The text for people. If there is no translation, it is the daemon's own text, which is English. */
  get words() {
    return word(`problem_${this.code}`, {}, this.message);
  }
}

/**
 * Sends a request and returns the response if it is a success. If the login has ended, the document receives an
 * event.
 */
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

/** Requests JSON. */
export async function json(path, options) {
  return (await ask(path, options)).json();
}

/** Posts JSON. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers };
  return ask(path, { method: "POST", ...sent });
}

/** Appends these parameters to a path, except for empty ones. */
export function withQuery(path, parameters) {
  const isFilled = (value) => value !== "" && value !== null && value !== undefined;
  const filled = Object.entries(parameters).filter(([, value]) => isFilled(value));
  return filled.length === 0 ? path : `${path}?${new URLSearchParams(filled)}`;
}

/** The path of a call or a recording. */
export const pathOf = (kind, id) => `/${kind}/${encodeURIComponent(id)}`;
