// Runs the component with the two routes, as a browser and Next.js do, and answers each line of its input with what is shown.
import { createInterface } from "node:readline";
import { GET as events } from "./app/api/rooms/[room]/events/route.js";
import { GET as read } from "./app/api/rooms/[room]/route.js";
import { GET as status } from "./app/rollcall/api/sync-rooms/route.js";
import { GET as token } from "./app/rollcall-token/route.js";
import { register } from "./instrumentation.js";
import { sync } from "@/lib/sync";
import { roster } from "@/lib/roster-node-redis";
import { people as peopleOf } from "@/lib/people";
import { render } from "react";
import * as syncService from "./utils/redis/syncService.js";
import * as roomSyncManager from "./utils/redis/roomSyncManager.js";
import { createClient, isSyncServiceRunning } from "@/rollcall/rollcall-client.js";

const room = "a room";
const routes = (path) => {
  const [, name, rest] = path.match(/^\/api\/rooms\/([^/]+)(\/events)?$/);
  return { route: rest ? events : read, params: Promise.resolve({ room: decodeURIComponent(name) }) };
};
const answer = (path, headers) => {
  if (path === "/rollcall-token") return token();
  const { route, params } = routes(path);
  return route(new Request(`http://localhost${path}`, { headers }), { params });
};
const real = globalThis.fetch;
const failed = new Set();
globalThis.fetch = async (target, init) => {
  if (typeof target !== "string" || !target.startsWith("/")) return real(target, init);
  if (failed.has(target)) return answer(target);
  failed.add(target); // the first attempt of each fails, as on a train: the component must try again
  throw new TypeError("Failed to fetch");
};

// An EventSource that reads a response once with the module's parser, and connects again.
globalThis.EventSource = class extends EventTarget {
  #closed = false;

  constructor(path) {
    super();
    this.#follow(path);
  }

  async #follow(path) {
    let lastId = "";
    while (!this.#closed) {
      const client = createClient({ endpoint: "http://localhost", fetch: async () => answer(path, lastId ? { "Last-Event-ID": lastId } : {}) });
      try {
        for await (const { event, id } of client.stream("/")) {
          lastId = id ?? lastId;
          this.dispatchEvent(new Event(event === "connected" ? "open" : event));
        }
      } catch (error) {
        console.error(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  close() { this.#closed = true; }
};
const defined = [];
globalThis.HTMLElement = class {};
globalThis.customElements = { get: () => undefined, define: (name) => defined.push(name) };
const { LiveRoom } = await import("./components/live-room.js");
const { SyncStatus } = await import("./components/sync-status.js");

const show = () => {
  const [list, indicator] = render(LiveRoom, { room, endpoint: "http://node" }).props.children;
  return { people: list.props.children.map((item) => item.props.children), indicator, defined };
};

// What is wrong with the rest of the app; "" for nothing.
async function mistakes(indicator, people) {
  const now = await createClient({ token: indicator.props.token }).status();
  const done = await sync(room).then(({ synced }) => synced, (error) => error.message);
  const own = await (await status()).json();
  const metrics = await (await createClient().open("/metrics")).text();
  const right = {
    running: isSyncServiceRunning(), mayAct: now.mayAct, synced: done,
    own: [own.syncServiceRunning, own.mayAct], endpoint: SyncStatus().props.endpoint, nobody: await sync("nowhere").catch((error) => error.message),
    names: [typeof syncService.triggerImmediateSync, typeof roomSyncManager.syncRoomFromLiveKit], streams: metrics.match(/^rollcall_event_streams (.*)$/m)?.[1],
  };
  const told = JSON.stringify(right);
  return told === JSON.stringify({ running: true, mayAct: false, synced: people.length ? 1 : `Neither LiveKit nor Redis has the room ${room}`, own: [true, false], endpoint: "/rollcall",
    nobody: "Neither LiveKit nor Redis has the room nowhere", names: ["function", "function"], streams: "1" }) ? "" : told;
}

register();
show();
for (let n = 0; n < 80; n++) await answer(`/api/rooms/${n}/events`); // more viewers than a node has streams
for await (const _ of createInterface(process.stdin)) {
  const [missing, other, first] = await Promise.all([answer("/api/rooms/nowhere"), roster(room), peopleOf(room)]);
  const { people, indicator, defined: elements } = show();
  const wrong = indicator ? await mistakes(indicator, people).catch((error) => error.message) : "no indicator yet";
  const right = !wrong && missing.status === 404 && indicator.type === "sync-status-indicator" && elements[0] === "sync-status-indicator";
  const participants = people.map((identity) => ({ identity, sid: "" }));
  // The rooms in the form of the other consumers: as the component shows it, as node-redis reads it, and as the README does.
  console.log(JSON.stringify({ shown: { sid: right ? "right" : `${wrong} ${missing.status} ${elements} ${JSON.stringify(indicator)}`, participants },
    read: { participants: (other?.participants ?? []).map((identity) => ({ identity })) },
    readme: { participants: (first?.participants ?? []).map((identity) => ({ identity })) } }));
}
