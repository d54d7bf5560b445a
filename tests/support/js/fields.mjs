// Calls every method of the official JavaScript client with every argument, on a `fetch` that only
// writes down what is sent. Prints [{method, path, query: [...], body: [...]}, ...], each once.
import { Client } from "@langchain/langgraph-sdk";

const ID = "00000000-0000-4000-8000-000000000000";
const sent = new Map();
let count = 0;

/** Write a request down; answer with what every method of the client can read. */
async function record(url, init) {
  const { pathname, searchParams } = new URL(url);
  const json = init.body ? JSON.parse(init.body) : null;
  const bodies = json === null ? [] : [json].flat();
  const request = {
    method: init.method ?? "GET",
    path: pathname,
    query: [...new Set(searchParams.keys())].sort(),
    body: [...new Set(bodies.flatMap((each) => Object.keys(each)))].sort(),
  };
  sent.set(JSON.stringify(request), request);
  count += 1;
  if (pathname.endsWith("/stream"))
    return new Response("event: end\ndata: null\n\n", { headers: { "content-type": "text/event-stream" } });
  return new Response(JSON.stringify({ items: [] }), { headers: { "content-type": "application/json" } });
}

// What an option must be where a text will not do; `undefined`: it is none of the wire's.
const VALUES = {
  signal: undefined,
  onRunCreated: undefined,
  raiseError: undefined,
  streamIdleReconnect: undefined,
  includePagination: undefined,
  command: { resume: 1 },
  metadata: { a: 1 },
  supersteps: [{ updates: [{ values: {}, asNode: "x" }] }],
  _langsmithTracer: { projectName: "x", exampleId: "x" },
  namespace: ["a"],
  threadIds: [ID],
};
const read = new Set(); // the names of the options that a method has looked at
let ofARun = []; // those of a run, which createBatch sends as they are

/** Options that have whatever a method looks for, but for what is left out. */
function options(without) {
  const get = (_, name) => {
    if (typeof name !== "string" || name === without) return undefined;
    read.add(name);
    return name in VALUES ? VALUES[name] : "x";
  };
  return new Proxy({}, { get });
}

/** Every way to fill a parameter of a method, by its name. */
function ways(name, without) {
  if (["payload", "options", "query", "maybeOptions"].includes(name)) return [options(without), undefined];
  if (name === "payloads") return [[Object.fromEntries(ofARun.map((each) => [each, VALUES[each] ?? "x"]))]];
  if (name === "threadId") return [ID, null];
  if (name === "checkpoint") return [undefined, "x", { checkpoint_id: "x" }];
  if (name === "wait") return [true, false];
  if (name === "version") return [1];
  if (name.endsWith("Id") || name === "threadIdOrConfig") return [ID];
  return [VALUES[name] ?? "x"];
}

const combined = (lists) => lists.reduce((all, list) => all.flatMap((each) => list.map((one) => [...each, one])), [[]]);

function parameters(method) {
  const [, inner] = /^[^(]*\(([\s\S]*?)\)\s*\{/.exec(method.toString());
  return inner.split(/,(?![^{]*\})/).map((each) => each.split("=")[0].trim()).filter(Boolean);
}

async function call(part, name, without) {
  const given = parameters(part[name]).map((each) => ways(each, without));
  for (const values of combined(given)) {
    try {
      const answer = part[name](...values);
      if (answer?.[Symbol.asyncIterator]) for await (const _ of answer);
      else await answer;
    } catch (error) {
      // Some combinations are none of the client's: without a payload, say, or with no thread.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

const client = new Client({ apiUrl: "http://127.0.0.1:9", apiKey: null, callerOptions: { fetch: record, maxRetries: 0 } });
const methods = [];
for (const [name, part] of Object.entries(client)) {
  if (typeof part !== "object" || name.startsWith("~")) continue;
  for (const each of Object.getOwnPropertyNames(Object.getPrototypeOf(part)))
    // A stream of the newer protocol is an object with requests of its own: no thread is followed so.
    if (each !== "constructor" && !(name === "threads" && each === "stream")) methods.push([part, each]);
}
for (const [part, name] of methods) {
  read.clear();
  count = 0;
  await call(part, name, null);
  for (const each of [...read]) await call(part, name, each);
  if (count === 0) throw new Error(`${name} sent nothing`);
  if (part === client.runs && name === "create")
    ofARun = ["assistantId", ...[...read].filter((each) => !(each in VALUES) || VALUES[each] !== undefined)];
}
process.stdout.write(JSON.stringify([...sent.values()]));
