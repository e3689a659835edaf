// Determines what is wrong, how bad it is, and what to do about it. Pure: the same state and time give the same list.

import { count, duration, moment, plural, since, span } from "./format.js";
import { plain, sentence } from "./text.js";

const staleAfter = 30_000;

/** isStale reports whether a known resource has not been confirmed for 30 s. */
export function isStale(resource, at = Date.now()) {
  return resource.at > 0 && at - resource.at > staleAfter;
}

function access(state) {
  const error = state.status.error;
  if (error?.status === 401 && state.hasToken) {
    return {
      level: "bad", title: "This node does not accept the token",
      todo: "It is wrong, has expired, or is for another cluster. Enter the admin token, or a LiveKit token with roomList.", fix: "token",
    };
  }
  if (error?.status === 401) {
    return { level: "bad", title: "This node wants a token", todo: "Enter the admin token, or a LiveKit token with roomList.", fix: "token" };
  }
  if (error?.status === 403 && state.route?.view === "room" && state.room?.error?.status === 403) {
    return { level: "warn", title: "This token may not read this room", todo: sentence(state.room.error.message), fix: "token" };
  }
  if (error?.status === 403) {
    return {
      level: "warn", title: "This token may not read the cluster",
      todo: `${sentence(error.message)} With roomAdmin and the name of a room, it opens that room by its address, /rooms/NAME.`, fix: "token",
    };
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
    todo: `${error.status ? sentence(error.message) : "Is it running, and is the network up?"} It is asked again every few seconds.${known}`,
  };
}

const retried = "Webhooks get 503, which LiveKit retries for about 15 s; the first sync after that repairs what was missed.";
/** keptText says what LiveKit's silence means for the data. A Redis that was restarted empty keeps no answer. */
export const keptText = (redisEmpty) => (redisEmpty ? "Nothing is removed; Redis holds no room now, and the live ones come back with the first good sync."
  : "Nothing is removed; Redis keeps the last answer.");
const said = (error) => (error ? ` The reason: ${plain(error)}` : "");
// An older node does not say since when.
const begun = (dependency, now) => (dependency?.since ? ` Since ${since(moment(dependency.since), now)}.` : "");
const lastGood = (status, now) => (status?.lastGoodSync ? ` The last good sync began at ${since(moment(status.lastGoodSync), now)}.` : "");

/** hasNoLeader reports whether the cluster has no leader. Two resources name it; one of them may be old. */
export function hasNoLeader(state) {
  const [newest] = [state.status, state.cluster].filter(({ data }) => data).sort((a, b) => b.at - a.at);
  return Boolean(newest) && !newest.data.leader;
}

/** hasNoRedis reports whether Redis fails this node. An older node does not say. */
export const hasNoRedis = (state) => (state.status.data?.redis?.state ?? "ok") !== "ok";

const membersOf = (state) => state.cluster.data?.members ?? [];
const answers = (member) => member.state === "ready" || member.state === "unready" || Boolean(member.why);
const cannotWrite = (member) => (member.cannotWrite ?? []).length > 0;
const names = (list, last = "and") => list.map((member) => plain(member.id)).join(` ${last} `);

// A node that comes back is not ready for a moment, however long it was away: the two are timed apart.
const sinceKey = (member) => `${member.state === "unready" ? "unready" : "away"} ${member.id}`;

/** seenSince returns since when the page has seen each node away or not ready, or no leader. before is what it returned the last time. */
export function seenSince(state, before, at = Date.now()) {
  const keys = membersOf(state).filter((m) => m.state !== "ready").map(sinceKey);
  if (hasNoLeader(state)) keys.push("leader");
  return Object.fromEntries(keys.map((key) => [key, before[key] ?? at]));
}

// What passes by itself is no alarm.
const seenFor = (state, key) => Date.now() - (state.since?.[key] ?? Date.now());
const electedWithin = 5_000;
const readyWithin = 12_000; // a node that starts may first have to catch up
const backWithin = 60_000;

// An election needs a majority of the voters, whatever else is wrong.
function leadership(state) {
  if (!hasNoLeader(state)) return null;
  const voters = membersOf(state).filter((m) => m.voter);
  const silent = voters.filter((m) => !answers(m));
  const needed = Math.floor(voters.length / 2) + 1;
  const missing = needed - (voters.length - silent.length);
  if (!silent.length || missing <= 0) {
    return {
      level: seenFor(state, "leader") > electedWithin ? "bad" : "note", title: "The cluster has no leader",
      todo: "No sync or cleanup runs until one is elected, mostly within two seconds. If it lasts, check that the nodes reach each other, and their logs.",
    };
  }
  const who = missing === silent.length ? names(silent) : missing === 1 ? names(silent, "or") : `${missing} of ${silent.map((m) => plain(m.id)).join(", ")}`;
  return {
    level: "bad", title: `The cluster has no leader: bring back ${who}`,
    todo: `${voters.length - silent.length} of ${voters.length} voters can be reached, and ${needed} must be. Until then webhooks get 503, no sync runs, and no node can join or leave. `
      + `${hasNoRedis(state) ? "" : "Rooms can be read as Redis holds them. "}The first sync after that repairs what was missed.`,
  };
}

const redisWords = { silent: "does not answer", refuses: "takes no commits", partial: "answers in part" };

function redis(state, now) {
  const { node, redis: own } = state.status.data ?? {};
  const cut = membersOf(state).filter(cannotWrite);
  // A node that cannot use a Redis that others can use gives its rooms to them, and is away.
  if (cut.length && cut.every((m) => m.state === "away")) {
    const here = cut.some((m) => m.id === node);
    return {
      level: "warn", title: `${names(cut)} cannot write to Redis; the others can`,
      todo: "The others have taken over the rooms, and webhooks go on. Check the network to Redis from there, and --redis-url. It comes back by itself."
        + (here ? ` Until then, read rooms at another node.${said(own?.error)}` : ""),
    };
  }
  const does = redisWords[own?.state];
  if (does) {
    const part = own.state === "partial" ? "This concerns the rooms of some of its masters. " : "";
    return { level: "bad", title: `Redis ${does}`, todo: `${part}${retried} Check Redis and --redis-url.${begun(own, now)}${said(own.error)}` };
  }
  return cut.length ? { level: "warn", title: `Redis does not answer ${names(cut)}`, todo: `${retried} Check Redis, and the network to it.` } : null;
}

const liveKitFaults = {
  silent: ["LiveKit does not answer", "Check LiveKit and --livekit-host."],
  refuses: ["LiveKit refuses the API key", "Compare --livekit-api-key and its secret with LiveKit's, and the clocks."],
  limited: ["LiveKit allows no more requests now", "Lower --livekit-rate, or lengthen --sync-interval."],
};

function livekit(status, now) {
  const { state, error } = status?.livekit ?? {};
  const [title, todo] = liveKitFaults[state] ?? [];
  return title ? { level: "bad", title, todo: `${keptText(status.lastSync?.redisEmpty)} ${todo}${begun(status.livekit, now)}${lastGood(status, now)}${said(error)}` } : null;
}

/** faultText says whose answer a cycle lacked, so that it compared no room; "" if it compared them. */
export function faultText(fault) {
  return liveKitFaults[String(fault).replace("livekit_", "")]?.[0] ?? (fault ? "Redis did not answer" : "");
}

// A node that is away is worth a line, and an alarm only if it stays away.
function members(state) {
  if (hasNoLeader(state)) return [];
  const silent = membersOf(state).filter((m) => m.state !== "ready" && !answers(m));
  const unready = membersOf(state).filter((m) => m.state === "unready" && !cannotWrite(m));
  return [...silent.map((m) => ({
    level: seenFor(state, sinceKey(m)) > backWithin ? "warn" : "note", title: `${plain(m.id)} is away`,
    todo: "The others have taken over its rooms. Started again, it comes back by itself.",
  })), ...unready.map((m) => ({
    level: seenFor(state, sinceKey(m)) > readyWithin ? "warn" : "note", title: `${plain(m.id)} takes no webhooks`,
    todo: m.why ? `The reason: ${plain(m.why)}` : "Its log says why.",
  }))];
}

function schedule(status, at) {
  if (!status) return null;
  if (!status.syncServiceRunning) {
    return {
      level: "warn", fix: "start", title: "The schedule is stopped",
      todo: "What webhooks miss is not repaired until the schedule is started, or somebody syncs by hand.",
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
    todo: "LiveKit no longer shows more than half, so nothing was removed. If LiveKit is wrong, repair LiveKit. If it is right, wait: "
      + `the removals are done by the third scheduled sync that agrees (${count(held.cycles)} so far). Or look at a forced dry run, then force.`,
  };
}

// An error may be a room, a node or a part of Redis. One of a node that is away has a cause that is listed.
function errors(state, now) {
  const last = state.status.data?.lastSync;
  if (!last?.result?.errors || last.fault) return null;
  return {
    level: membersOf(state).every(answers) ? "warn" : "note", title: `The last sync had ${plural(last.result.errors, "error")}`,
    todo: `What it could not compare is unchanged in Redis, and the next sync tries again.${lastGood(state.status.data, now)} ${last.firstError ? `First error: ${plain(last.firstError)}` : "The leader's log says why."}`,
  };
}

function passedOver(status) {
  const passed = status?.lastSync?.passedOver;
  if (!passed?.entries) return null;
  return {
    level: "warn", title: `LiveKit lists ${plural(passed.entries, "entry", "entries")} that cannot be used`,
    todo: `Everything else was compared. The first: ${sentence(passed.first)} Find and delete it in LiveKit.`,
  };
}

function slow(status) {
  if (!status?.progress?.slow && !status?.lastSync?.slow) return null;
  return {
    level: "warn", title: "A sync takes longer than 5 minutes",
    todo: "LiveKit's request budget is small for that many rooms, or LiveKit or Redis is slow. Raise --livekit-rate as far as LiveKit allows.",
  };
}

const order = ["bad", "warn", "note"];

/** problems lists what is wrong, worst first, and each cause once: what it causes is not listed. now is the node's time. */
export function problems(state, now) {
  const status = state.status.data;
  const noRedis = redis(state, now);
  const list = [access(state), reach(state), leadership(state), noRedis, livekit(status, now), breaker(status), ...members(state), schedule(status, now),
    noRedis ? null : errors(state, now), passedOver(status), slow(status)].filter(Boolean);
  return list.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** alarms leaves out what is only worth a line. */
export const alarms = (list) => list.filter((problem) => problem.level !== "note");

/** verdict returns the page's first sentence, and the one below it. */
export function verdict(state, list) {
  const status = state.status.data;
  const wrong = alarms(list);
  if (wrong.length) {
    const title = wrong.length === 1 ? "One thing needs you." : `${count(wrong.length)} things need you.`;
    return { level: wrong[0].level, title, detail: "" };
  }
  if (!status) return { level: "none", title: "Calling the roll…", detail: "Waiting for this node's first answer." };
  const last = status.lastSync;
  if (!last) return { level: "none", title: "Not compared yet.", detail: "The first sync has not ended; webhooks are accepted nevertheless." };
  if (last.fault) return { level: "none", title: "Redis answers again.", detail: "The next sync compares the rooms with LiveKit and repairs what was missed." };
  if (last.result.errors) return { level: "none", title: "Not all compared.", detail: "The next sync compares the rest." };
  const repaired = Object.values(last.drift ?? {}).reduce((sum, n) => sum + n, 0);
  const repairedText = repaired ? `and ${plural(repaired, "difference")} repaired` : "and nothing to repair";
  return { level: "ok", title: "All present.", detail: `Redis agrees with LiveKit: ${plural(last.result.synced, "room")} compared in ${duration(last.durationMs)}, ${repairedText}, ` };
}
