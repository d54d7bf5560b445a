// The script of tests/support/wire_script.py, played by the official JavaScript client.
// Usage: node wire_script.mjs URL. Prints what each step gave, as one JSON object.
import { randomUUID } from "node:crypto";
import { Client } from "@langchain/langgraph-sdk";

const ASK = { request: "Write is_leap_year(year): is a year of the Gregorian calendar a leap year?" };
const MODES = ["values", "updates", "messages", "messages-tuple", "tasks", "checkpoints", "debug", "custom"];
const YEARLY = "0 0 1 1 *";

const client = new Client({ apiUrl: process.argv[2], apiKey: null, callerOptions: { maxRetries: 0 } });
const { assistants, threads, runs, crons } = client;
const results = {};

/** Return what comes back (null for nothing), or the status with which it is refused. */
async function refused(asked) {
  try {
    return (await asked) ?? null;
  } catch (error) {
    return error.status ?? `${error.name}: ${error.message}`;
  }
}

async function step(name, asked) {
  results[name] = await refused(asked);
  return results[name];
}

async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push([part.event, part.data]);
  return parts;
}

const newThread = async () => (await threads.create()).thread_id;

async function _assistants() {
  const found = await step("assistants.search", assistants.search({ graphId: "agent" }));
  await step("assistants.get", assistants.get(found[0].assistant_id));
  await step("assistants.graph", assistants.getGraph(found[0].assistant_id));
  await step("assistants.schemas", assistants.getSchemas(found[0].assistant_id));
  await step("assistants.count", assistants.count({ graphId: "agent" }));
  await step("assistants.unknown", assistants.get(randomUUID()));
}

async function _threads() {
  const { thread_id } = await step("threads.create", threads.create({ metadata: { a: 1 } }));
  await step("threads.get", threads.get(thread_id));
  await step("threads.update", threads.update(thread_id, { metadata: { b: 2 } }));
  await step("threads.search", threads.search({ metadata: { b: 2 } }));
  await step("threads.state of none", threads.getState(thread_id));
  await step("threads.delete", threads.delete(thread_id));
  await step("threads.get deleted", threads.get(thread_id));
  await step("threads.create named", threads.create({ threadId: randomUUID(), ifExists: "do_nothing" }));
}

async function _runs() {
  const thread = await newThread();
  const run = await step("runs.create", runs.create(thread, "agent", { input: ASK }));
  await step("runs.join", runs.join(thread, run.run_id));
  await step("runs.get", runs.get(thread, run.run_id));
  await step("runs.list", runs.list(thread));
  await step("runs.list some", runs.list(thread, { select: ["run_id", "status"] }));
  await step("runs.wait", runs.wait(thread, "agent", { input: ASK }));
  await step("threads.get run", threads.get(thread));
  await step("threads.copy", threads.copy(thread));
  await step("runs.delete", runs.delete(thread, run.run_id));
  await step("runs.get deleted", runs.get(thread, run.run_id));
  await step("runs.create nowhere", runs.create(randomUUID(), "agent", { input: ASK }));
  const made = runs.wait(randomUUID(), "agent", { input: ASK, ifNotExists: "create" });
  await step("runs.create with a thread", made);
}

async function _streams() {
  for (const mode of MODES) {
    const stream = runs.stream(await newThread(), "agent", { input: ASK, streamMode: mode });
    await step(`stream ${mode}`, all(stream));
  }
  const both = { input: ASK, streamMode: ["values", "updates"] };
  await step("stream both", all(runs.stream(await newThread(), "agent", both)));
}

async function _stateless() {
  await step("stateless wait", runs.wait(null, "agent", { input: ASK }));
  await step("stateless stream", all(runs.stream(null, "agent", { input: ASK, streamMode: "updates" })));
  const one = { assistantId: "agent", input: ASK };
  await step("stateless batch", runs.createBatch([one, one]));
}

async function _busy() {
  const thread = await newThread();
  const later = { input: ASK, afterSeconds: 30 };
  const first = await runs.create(thread, "agent", later);
  await step("reject", runs.create(thread, "agent", { input: ASK, multitaskStrategy: "reject" }));
  await step("cancel", runs.cancel(thread, first.run_id, false));
  while (["pending", "running"].includes((await runs.get(thread, first.run_id)).status))
    await new Promise((done) => setTimeout(done, 100));
  await step("cancelled", runs.get(thread, first.run_id));
  await step("afterwards", runs.wait(thread, "agent", { input: ASK }));
  const second = await runs.create(thread, "agent", later);
  await runs.cancel(thread, second.run_id, true, "rollback");
  await step("rolled back", runs.get(thread, second.run_id));
}

async function _strategies() {
  for (const strategy of ["interrupt", "rollback", "enqueue"]) {
    const thread = await newThread();
    const late = strategy === "enqueue" ? 0 : 30;
    const first = await runs.create(thread, "agent", { input: ASK, afterSeconds: late });
    const then = runs.wait(thread, "agent", { input: ASK, multitaskStrategy: strategy });
    await step(`${strategy} the other`, then);
    await step(`${strategy}, the first`, runs.get(thread, first.run_id));
  }
}

async function _options() {
  for (const durability of ["sync", "async", "exit"])
    await step(`durability ${durability}`, runs.wait(null, "agent", { input: ASK, durability }));
  await step("kept", runs.wait(null, "agent", { input: ASK, onCompletion: "keep" }));
  const thread = await newThread();
  const resumable = { input: ASK, streamMode: ["updates", "values"], streamResumable: true };
  const { run_id } = await runs.create(thread, "agent", resumable);
  await step("join_stream", all(runs.joinStream(thread, run_id, { streamMode: ["updates"] })));
  await step("metadata", runs.wait(thread, "agent", { input: ASK, metadata: { team: "x" } }));
  await step("runs by status", runs.list(thread, { status: "success" }));
}

async function _wrong() {
  const thread = await newThread();
  await step("no such assistant", runs.create(thread, randomUUID(), { input: ASK }));
  await step("no such thread", threads.getState(randomUUID()));
  await step("no such run", runs.get(thread, randomUUID()));
  await step("such a thread is there", threads.create({ threadId: thread }));
}

async function _states() {
  const thread = await newThread();
  const stopped = { input: ASK, interruptBefore: ["worker"] };
  await step("interrupted", runs.wait(thread, "agent", stopped));
  await step("interrupted thread", threads.get(thread));
  const state = await step("interrupted state", threads.getState(thread));
  await step("state at", threads.getState(thread, state.checkpoint));
  await step("gone on", runs.wait(thread, "agent", { input: null }));
  await step("history", threads.getHistory(thread, { limit: 3 }));
  await step("history some", threads.getHistory(thread, { limit: 3, select: ["values.request"] }));
  await step("updated", threads.updateState(thread, { values: ASK, asNode: "__start__" }));
  await step("state updated", threads.getState(thread));
}

async function _crons() {
  const thread = await newThread();
  const yearly = { schedule: YEARLY, input: ASK };
  const there = await step("crons.create_for_thread", crons.createForThread(thread, "agent", yearly));
  const options = { metadata: { team: "x" }, timezone: "Europe/Berlin", onRunCompleted: "keep" };
  const made = crons.create("agent", { ...yearly, ...options, endTime: "2099-01-01T00:00:00+00:00" });
  const { cron_id, assistant_id } = await step("crons.create", made);
  const off = { enabled: false, schedule: "0 6 * * 1", metadata: { kind: "y" } };
  await step("crons.update", crons.update(cron_id, off));
  await step("crons.update forever", crons.update(cron_id, { endTime: null }));
  await step("crons.search", crons.search({ assistantId: assistant_id, limit: 5 }));
  await step("crons.search some", crons.search({ threadId: thread, select: ["schedule"] }));
  await step("crons.count", crons.count({ assistantId: assistant_id }));
  await step("crons.delete on_thread", crons.delete(there.cron_id));
  await step("crons.delete", crons.delete(cron_id));
  await step("crons.delete again", crons.delete(cron_id));
  await step("crons.update deleted", crons.update(cron_id, { enabled: true }));
  await step("crons.create by no schedule", crons.create("agent", { ...yearly, schedule: "soon" }));
  await step("crons.create in no timezone", crons.create("agent", { ...yearly, timezone: "Berlin" }));
  await step("crons.create nowhere", crons.createForThread(randomUUID(), "agent", yearly));
}

/** A run that a node keeps busy: `cancel` may come back only once it has ended. */
async function _cancelled() {
  for (const action of ["interrupt", "rollback"]) {
    const thread = await newThread();
    const { run_id } = await runs.create(thread, "agent", { input: ASK });
    await runs.cancel(thread, run_id, true, action);
    await step(`${action}, waited for`, runs.get(thread, run_id));
    await step(`thread after ${action}`, threads.get(thread));
  }
}

for (const part of process.argv[3] === "cancel" ? [_cancelled]
  : [_assistants, _threads, _runs, _streams, _stateless, _busy, _strategies, _options, _states, _wrong, _crons])
  await part();
process.stdout.write(JSON.stringify(results));
