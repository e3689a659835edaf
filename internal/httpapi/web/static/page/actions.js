// The operator's actions: one at a time, with progress while it runs and its result after.

import { count, duration, plural } from "./format.js";
import { plain } from "./text.js";
import { faultText, keptText } from "./health.js";

const verbs = {
  "sync": "Sync", "cleanup": "Cleanup", "full-sync": "Full sync", "start-service": "Start of the schedule", "stop-service": "Stop of the schedule",
};

/** nameOf returns the name of an action, for people. */
export function nameOf({ room, ...order }) {
  return room === undefined ? nameOfAction(order) : `${nameOfAction(order)} of ${plain(room)}`;
}

function nameOfAction({ action, dryRun, force }) {
  if (dryRun) return `${force ? "Forced dry run" : "Dry run"}${action === "sync" ? "" : ` of ${verbs[action].toLowerCase()}`}`;
  return force ? `Forced ${verbs[action].toLowerCase()}` : verbs[action];
}

/** summary describes the result in one line. */
export function summary(order, answer, took) {
  if (answer.running !== undefined) return answer.running ? "The schedule is running." : "The schedule is stopped.";
  if (answer.fault) return `${faultText(answer.fault)}. ${answer.fault === "redis_silent" ? "No room was compared." : keptText(answer.redisEmpty)}`;
  if (answer.found === false) return "Neither LiveKit nor Redis has this room.";
  const result = answer.result ?? answer.sync;
  const parts = [];
  if (result) parts.push(`${plural(result.synced, "room")} compared`, plural(result.errors, "error"), `${count(result.cleaned)} removed`);
  if (answer.cleaned !== undefined) parts.push(`${count(answer.cleaned)} removed`);
  if (answer.cleanup !== undefined) parts.push(`${count(answer.cleanup)} cleaned up`);
  if (order.dryRun) parts.push(`${plural(answer.wouldChange?.length ?? 0, "change")} would be made, nothing was changed`);
  if (answer.held) parts.push(`held: ${plural(answer.held.rooms, "room")}, ${plural(answer.held.participants, "participant")}`);
  return `${parts.join(", ")}; ${duration(took)}.`;
}

/** createActions keeps the slice "action": null, or { order, name, startedAt, running, answer, error, took, text }. */
export function createActions(store, session, live) {
  store.set("action", null);

  async function run(order) {
    if (store.state.action?.running) return;
    const startedAt = Date.now();
    const { action, ...options } = order;
    const base = { order, name: nameOf(order), startedAt };
    store.set("action", { ...base, running: true });
    // The node reports its progress only when asked.
    const watching = setInterval(() => live.resources.status.refresh(), 700);
    try {
      const answer = await session.client.act(action, options);
      const took = Date.now() - startedAt;
      store.set("action", { ...base, running: false, answer, took, text: summary(order, answer, took) });
    } catch (error) {
      store.set("action", { ...base, running: false, error, took: Date.now() - startedAt });
    } finally {
      clearInterval(watching);
      live.resources.status.refresh();
      live.resources.drift.refresh();
      store.set("acted", base);
    }
  }

  return { run, dismiss: () => store.set("action", null) };
}
