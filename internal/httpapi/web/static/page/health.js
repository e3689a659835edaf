// What is wrong, how bad it is, and what to do about it. Pure: the same state and time give the same list.

import { count, duration, plural, span } from "./format.js";
import { plain } from "./text.js";

const staleAfter = 30_000;

/** isStale tells of a resource that was known and has not been confirmed for 30 s. */
export function isStale(resource, at = Date.now()) {
  return resource.at > 0 && at - resource.at > staleAfter;
}

function access(state) {
  const error = state.status.error;
  if (error?.status === 401) {
    return { level: "bad", title: "This node wants a token", todo: "Enter the admin token, or a LiveKit token with roomList.", fix: "token" };
  }
  if (error?.status === 403) {
    return { level: "warn", title: "This token may not read the cluster", todo: "Rooms that it names can be opened. For all else take a token with roomList.", fix: "token" };
  }
  return null;
}

function reach(state) {
  const { error, at } = state.status;
  if (!error || (error.status >= 400 && error.status < 500)) return null;
  const known = at ? ` What is shown is ${span(Date.now() - at)} old.` : "";
  return {
    level: "bad", fix: "retry",
    title: error.status ? "This node cannot answer now" : "This node does not answer",
    todo: `${error.status ? `${plain(error.message)}.` : "Is it running, and is the network up?"} It is asked again every few seconds.${known}`,
  };
}

function leadership(state) {
  // Two answers name the leader; one of them may be old.
  const [newest] = [state.status, state.cluster].filter(({ data }) => data).sort((a, b) => b.at - a.at);
  if (!newest || newest.data.leader) return null;
  return {
    level: "bad", title: "The cluster has no leader",
    todo: "No sync or cleanup runs until one is elected, mostly within two seconds. If it lasts, more than half of the voters must be up and reach each other.",
  };
}

function members(state) {
  const away = (state.cluster.data?.members ?? []).filter((m) => m.state !== "ready");
  if (!away.length) return null;
  const names = away.map((m) => plain(m.id)).join(", ");
  return {
    level: "warn", title: `${plural(away.length, "node is", "nodes are")} not ready: ${names}`,
    todo: "Rooms of a node that is gone move to the others by themselves. Look at its log, or remove it for good.",
  };
}

function schedule(status, at) {
  if (!status) return null;
  if (!status.syncServiceRunning) {
    return {
      level: "warn", fix: "start", title: "The schedule is stopped",
      todo: "Webhooks are taken, but what they miss is not repaired until it is started, or somebody syncs by hand.",
    };
  }
  const late = at - Date.parse(status.nextSync ?? "");
  if (late > Math.max(2 * status.syncInterval, 15_000) && !status.progress) {
    return { level: "warn", title: `The next sync is ${span(late)} overdue`, todo: "The leader may be busy or cut off. Its log says more." };
  }
  return null;
}

function breaker(status) {
  const held = status?.lastSync?.held;
  if (!held || (!held.rooms && !held.participants)) return null;
  return {
    level: "bad", fix: "force",
    title: `Held: the removal of ${plural(held.rooms, "room")} and ${plural(held.participants, "participant")}`,
    todo: "LiveKit no longer shows more than half, so nothing was removed. If LiveKit is wrong, mend LiveKit. If it is right, wait: "
      + `removals go with the third scheduled sync that agrees (${count(held.cycles)} so far). Or look at a forced dry run, then force.`,
  };
}

function errors(status) {
  const last = status?.lastSync;
  if (!last?.result?.errors) return null;
  return {
    level: "warn", title: `The last sync could not examine ${plural(last.result.errors, "room")}`,
    todo: last.firstError ? `First error: ${plain(last.firstError)}` : "The leader's log says why.",
  };
}

function passedOver(status) {
  const passed = status?.lastSync?.passedOver;
  if (!passed?.entries) return null;
  return {
    level: "warn", title: `LiveKit lists ${plural(passed.entries, "entry", "entries")} that cannot be used`,
    todo: `Everything else was examined. The first: ${plain(passed.first)}. Find and delete it in LiveKit.`,
  };
}

function slow(status) {
  if (!status?.progress?.slow && !status?.lastSync?.slow) return null;
  return {
    level: "warn", title: "A sync takes longer than 5 minutes",
    todo: "LiveKit's request budget is small for that many rooms, or LiveKit or Redis is slow. Raise --livekit-rate as far as LiveKit allows.",
  };
}

/** problems lists what is wrong, worst first. now is the node's time. */
export function problems(state, now) {
  const status = state.status.data;
  const list = [access(state), reach(state), leadership(state), breaker(status), members(state), schedule(status, now), errors(status), passedOver(status), slow(status)].filter(Boolean);
  return list.sort((a, b) => (a.level === "bad" ? 0 : 1) - (b.level === "bad" ? 0 : 1));
}

/** verdict is the page's first sentence, and the one below it. */
export function verdict(state, list) {
  const status = state.status.data;
  if (list.length) {
    const title = list.length === 1 ? "One thing needs you." : `${count(list.length)} things need you.`;
    return { level: list[0].level, title, detail: "" };
  }
  if (!status) return { level: "none", title: "Calling the roll…", detail: "Waiting for this node's first answer." };
  const last = status.lastSync;
  if (!last) return { level: "none", title: "Not compared yet.", detail: "The first sync has not ended; webhooks are taken all the same." };
  const repaired = Object.values(last.drift ?? {}).reduce((sum, n) => sum + n, 0);
  const mended = repaired ? `and ${plural(repaired, "difference")} repaired` : "and nothing to repair";
  return { level: "ok", title: "All present.", detail: `Redis agrees with LiveKit: ${plural(last.result.synced, "room")} compared in ${duration(last.durationMs)}, ${mended}, ` };
}
