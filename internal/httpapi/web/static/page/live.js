// Keeps the store current with the node: by its events, and by polling, which is all there is without events.

import { learn } from "./clock.js";
import { hasNoLeader, hasNoRedis, seenSince } from "./health.js";
import { createResource } from "./resource.js";
import { createStream } from "./stream.js";

const keptChanges = 200;

// How often each is read, with events and without.
const pace = {
  status: [10_000, 5_000],
  cluster: [10_000, 5_000],
  stats: [10_000, 10_000],
  drift: [30_000, 15_000],
};

function createResources(store, session) {
  const read = (path) => () => session.client.read(path);
  return {
    status: createResource(store, "status", async () => {
      const status = await session.client.read("/api/sync-rooms");
      learn(status.timestamp);
      return status;
    }),
    cluster: createResource(store, "cluster", read("/api/cluster")),
    stats: createResource(store, "stats", read("/api/stats")),
    drift: createResource(store, "drift", read("/api/drift?limit=200")),
  };
}

// While something is away, what is shown of it must not be old.
const unwellPace = 2_000;
const unwell = (state) => hasNoLeader(state) || hasNoRedis(state) || (state.cluster.data?.members ?? []).some((m) => m.state !== "ready");

/** createLive starts at start(), and starts again with an empty state at restart(). */
export function createLive(store, session, rooms) {
  const resources = createResources(store, session);
  let scope = "";
  store.set("conn", { state: "connecting" });
  store.set("changes", []);
  store.on(["status", "cluster"], (state) => { state.since = seenSince(state, state.since); });

  function keep(change) {
    change.seen = (keep.last = (keep.last ?? 0) + 1);
    store.state.changes.unshift(change);
    store.state.changes.length = Math.min(store.state.changes.length, keptChanges);
    store.touch("changes");
    rooms.apply(change);
    store.set("lastChange", change);
  }

  function heard({ event, data }) {
    let value;
    try {
      value = JSON.parse(data);
    } catch {
      return; // part of an event of a connection that broke
    }
    // A change of the stream has LiveKit's reason in the field in which an entry of a timeline has the sync's.
    if (event === "change") keep({ ...value, reason: "", disconnectReason: value.reason });
    if (event === "leader" || event === "members" || event === "redis") resources.cluster.refresh();
    if (event !== "change" && event !== "members") resources.status.refresh();
    if (event === "sync" && value.changed) resources.drift.refresh();
  }

  function told(turn) {
    if (turn.state === "refused" && turn.error.status === 403 && scope === "") return;
    store.set("conn", turn);
    if (turn.state === "live") catchUp();
  }

  // Fetches what happened while the stream was down.
  function catchUp() {
    if (store.state.status.at) for (const resource of Object.values(resources)) resource.refresh();
    rooms.reload();
    store.touch("reconnected");
  }

  const stream = createStream(session, heard, told);
  const asked = {};

  function poll() {
    if (document.hidden) return;
    const live = store.state.conn.state === "live" ? 0 : 1;
    const at = Date.now();
    for (const [name, resource] of Object.entries(resources)) {
      const error = store.state[name].error;
      // A resource that this token or this version does not provide is requested once a minute.
      const every = error && error.status >= 400 && error.status < 500 ? 60_000
        : (name === "status" || name === "cluster") && unwell(store.state) ? unwellPace : pace[name][live];
      if (at - (asked[name] ?? 0) >= every) {
        asked[name] = at;
        resource.refresh();
      }
    }
  }

  function listen(room) {
    scope = room;
    stream.start(room ? `/api/events?room=${encodeURIComponent(room)}` : "/api/events");
  }

  function begin() {
    for (const name of Object.keys(resources)) delete asked[name];
    poll();
    listen("");
  }

  return {
    resources,
    start() {
      setInterval(poll, 1000);
      document.addEventListener("visibilitychange", () => { if (!document.hidden) this.retry(); });
      addEventListener("online", () => this.retry());
      begin();
    },
    restart() {
      stream.stop();
      for (const resource of Object.values(resources)) resource.forget();
      store.set("changes", []);
      rooms.forget();
      begin();
    },
    retry() {
      for (const name of Object.keys(resources)) delete asked[name];
      stream.hurry();
      poll();
    },
    /** narrow is for a token that may read one room only: only its events are available. */
    narrow(room) {
      if (scope !== room && store.state.status.error?.status === 403) listen(room);
    },
  };
}
