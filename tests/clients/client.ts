// Calls every operation of the API with the generated TypeScript client, while the demo's calls run.
//
// Usage: client.js URL OPENAPI_JSON

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import createClient, { type Middleware } from "openapi-fetch";

import type { components, operations, paths } from "./generated.js";

const [url, file] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });

const called = new Set<string>();
const noted: Middleware = {
  onRequest({ request, schemaPath }) {
    called.add(`${request.method} ${schemaPath}`);
  },
};
client.use(noted);

/** What `look` finds, once it finds something. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain for ${what}`);
}

/** The body of an answer, which must be a good one. */
function good<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): T {
  assert(data !== undefined, `${response.url}: ${response.status} ${JSON.stringify(error)}`);
  return data;
}

type Live = components["schemas"]["Live"];
const live: Live = await until("a call", async () => {
  const { calls } = good(await client.GET("/calls/live"));
  return calls.find(({ words }) => words?.length);
});

const stream = good(await client.GET("/calls/live/events", { parseAs: "stream" }));
assert(stream);
let event = "";
for await (const piece of stream) {
  event += new TextDecoder().decode(piece);
  if (event.includes("\n\n")) break;
}
assert.match(event, /"asterisk":"connected"/);

assert(good(await client.GET("/health")).version);
assert.equal(good(await client.GET("/ready")).ready, true);
assert.match(good(await client.GET("/metrics", { parseAs: "text" })), /openai_inbound_calls_calls_live 1/);

const path = { id: live.id };
const listed = good(await client.GET("/calls", { params: { query: { limit: 5 } } }));
assert(typeof listed !== "string" && listed.calls.some(({ id }) => id === live.id));
const one: operations["get_call"]["responses"][200]["content"]["application/json"] =
  good(await client.GET("/calls/{id}", { params: { path } }));
assert.equal(one.recording_id, live.recording_id);
const asTable = { query: { format: "csv" } } as const;
assert.match(String(good(await client.GET("/calls", { params: asTable, parseAs: "text" }))), /^id,/);
const sums = good(await client.GET("/stats", { params: { query: { by: "hour" } } }));
assert(typeof sums !== "string" && sums.stats[0].calls >= 1);
assert.match(String(good(await client.GET("/stats", { params: asTable, parseAs: "text" }))), /^key,/);

const refused = await client.POST("/calls/{id}/transfer", { params: { path }, body: { destination: "nowhere" } });
assert.equal(refused.error?.code, "no_such_destination");
assert.equal((await client.POST("/calls/{id}/hangup", { params: { path } })).response.status, 202);

assert(live.recording_id);
const params = { path: { id: live.recording_id } };
await until("the end", async () => {
  const { state } = good(await client.GET("/recordings/{id}", { params }));
  return state === "finished" ? state : undefined;
});
const { recordings } = good(await client.GET("/recordings", { params: { query: { limit: 5 } } }));
assert(recordings.some(({ id }) => id === live.recording_id));
assert(good(await client.GET("/recordings/{id}/conversation", { params })));
assert(good(await client.GET("/recordings/{id}/summary", { params, parseAs: "text" })));
assert(good(await client.GET("/recordings/{id}/events", { params })).length);
const sound = await client.GET("/recordings/{id}/audio", { params, parseAs: "arrayBuffer" });
assert.equal(Buffer.from(good(sound)).toString("latin1", 0, 4), "RIFF");
const tag = sound.response.headers.get("etag") ?? "";
const header = { "If-None-Match": tag };
const known = await client.GET("/recordings/{id}/audio", { params: { ...params, header }, parseAs: "stream" });
assert.equal(known.response.status, 304);
assert(good(await client.GET("/recordings/{id}/audio.bin", { params, parseAs: "arrayBuffer" })).byteLength);
assert.equal((await client.DELETE("/recordings/{id}", { params })).response.status, 204);
assert.equal((await client.GET("/recordings/{id}", { params })).error?.code, "no_such_recording");

type Document = { paths: Record<string, Record<string, unknown>> };
const document = JSON.parse(readFileSync(file, "utf8")) as Document;
const all = Object.entries(document.paths).flatMap(([at, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${at}`));
assert.deepEqual([...called].sort(), all.sort());
console.log(`${called.size} operations called`);
