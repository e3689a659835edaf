// The client of rollcall's admin API for browsers and other hosts of ES modules. rollcall-client.d.ts has its types.

/** An answer other than success, or none at all: then status is 0. */
export class RollcallError extends Error {
  constructor(message, { status = 0, retryAfter = 0, cause } = {}) {
    super(message, { cause });
    this.name = "RollcallError";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const readTimeout = 15_000;
const silence = 45_000; // a node sends something on a stream of events every 15 s
const firstRetry = 250;
const lastRetry = 10_000;

// nodeOf returns where the node is if no endpoint is given: in Node.js where the command line finds it too, otherwise the node that served this
// module. For a module that was bundled or copied, its own origin is the best guess.
function nodeOf({ ROLLCALL_ADDR: address, ROLLCALL_TOKEN: token = "" }) {
  if (address) return { endpoint: address.includes("://") ? address : ["http", address].join("://"), token };
  const endpoint = URL.canParse(".", import.meta.url) ? new URL(".", import.meta.url).href : ""; // a bundler may leave import.meta.url empty
  if (!endpoint.startsWith("http")) throw new RollcallError(`Say where the node is: pass an endpoint${globalThis.location ? "" : ", or set ROLLCALL_ADDR"}`);
  return { endpoint, token: "" };
}

// A misspelt dryRun must not become a real run. Text and lists have options too, named by their places.
function refuseUnknown(options) {
  const [name] = Object.keys(options);
  if (name === "0") throw new TypeError('Options are an object, such as { room: "room-123" }, not text or a list');
  if (name !== undefined) throw new TypeError(`Unknown option "${name}"`);
}

function roomName(name) {
  if (typeof name !== "string") throw new TypeError(`A room's name is a string, not ${name === null ? "null" : typeof name}: name the room`);
  return name;
}

// takeRoom returns the option room and the other options. A room that is there but undefined must not mean every room.
function takeRoom(options) {
  if (options === null) throw new TypeError('Options are an object, such as { room: "room-123" }, or left out, not null');
  const { room, ...others } = options;
  return ["room" in Object(options) ? { room: roomName(room) } : {}, others];
}

// An address without a scheme would be taken as a path, or its host as a scheme.
function baseOf(endpoint) {
  const text = String(endpoint);
  const page = globalThis.location?.href;
  const relative = page !== undefined && /^[./]/.test(text);
  if (!URL.canParse(text, page) || !(relative || /^https?:\/\/[^/]/i.test(text))) {
    throw new TypeError(`The endpoint "${text}" is not a URL: write http:// or https:// and the node's address, such as http://rollcall.example:8080`);
  }
  return new URL(text, page);
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(done, ms);
  signal?.addEventListener("abort", done, { once: true });
  function done() {
    clearTimeout(timer);
    signal?.removeEventListener("abort", done);
    resolve();
  }
});

// createParser returns a function that takes the text of server-sent events in pieces, and returns the events that a piece completes.
function createParser() {
  let rest = "";
  let event = "";
  let data = [];
  let id;

  function line(text, events) {
    if (text === "") {
      if (data.length) events.push({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment, which only shows that the connection is alive
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }

  return (piece) => {
    rest += piece;
    // A CR at the very end may be the first half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    const events = [];
    for (const text of lines) line(text, events);
    return events;
  };
}

function makeHeaders(token, more) {
  const headers = new Headers(more);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  return headers;
}

// silenceText says that the node at origin does not answer, with what is known of the reason. A browser does not tell a page why.
function silenceText(origin, cause) {
  const code = cause?.cause?.code ?? cause?.code;
  const page = globalThis.location?.origin ?? origin;
  const hidden = page === origin ? "" : `, or does not list this page's origin (${page}) in --cors-origins`;
  return `The node at ${origin} does not answer${typeof code === "string" ? ` (${code})` : hidden}`;
}

async function refusal(response, origin, hint) {
  let message = "";
  try {
    message = (await response.json()).error ?? "";
  } catch {
    // Usually a proxy's page: its status says enough.
  }
  if (message && response.status === 401) message += hint;
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return new RollcallError(message || `The answer of ${origin} was ${response.status}`, { status: response.status, retryAfter });
}

/**
 * Makes a client. Every method resolves with the answer's JSON, as docs/api.md has it, and rejects with a RollcallError,
 * or with the signal's reason if it was aborted.
 */
export function createClient({ endpoint = "", token = "", fetch: send = (...args) => globalThis.fetch(...args), ...unknown } = {}) {
  refuseUnknown(unknown);
  const tokenHint = globalThis.location ? "" : `. Here: ${endpoint ? "" : "set ROLLCALL_TOKEN or "}pass token`;
  if (!endpoint) {
    const node = nodeOf(globalThis.process?.env ?? {});
    endpoint = node.endpoint;
    token ||= node.token;
  }
  const base = baseOf(endpoint);

  // open resolves with the Response itself if it is a success.
  async function open(path, { method = "GET", headers, body, signal, ...unknown } = {}) {
    refuseUnknown(unknown);
    let response;
    try {
      response = await send(new URL(path.replace(/^\//, ""), base.href.replace(/\/*$/, "/")), {
        method, body, signal, headers: makeHeaders(token, headers), cache: "no-store",
        redirect: method === "GET" ? "follow" : "manual", // an action would arrive as a GET, whose answer looks like a success
      });
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new RollcallError(silenceText(base.origin, cause), { cause });
    }
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      throw new RollcallError(`${base.origin} redirects, and an action is not redirected: nothing was done. Pass the address that it leads to as endpoint`, { status: response.status });
    }
    if (!response.ok) throw await refusal(response, base.origin, token ? "" : tokenHint);
    return response;
  }

  async function request(path, init = {}) {
    const response = await open(path, init);
    try {
      return await response.json();
    } catch (cause) {
      if (init.signal?.aborted) throw init.signal.reason;
      throw new RollcallError(`The answer of ${base.origin} is not JSON: is it a rollcall node?`, { status: response.status, cause });
    }
  }

  async function read(path, { signal, ...unknown } = {}) {
    refuseUnknown(unknown);
    const late = AbortSignal.timeout(readTimeout);
    try {
      return await request(path, { signal: signal ? AbortSignal.any([signal, late]) : late });
    } catch (cause) {
      if (cause === late.reason) throw new RollcallError(`The node at ${base.origin} does not answer in time`, { cause });
      throw cause;
    }
  }

  async function act(action, options = {}) {
    const [one, { dryRun, force, signal, ...unknown }] = takeRoom(options);
    refuseUnknown(unknown);
    return request("/api/sync-rooms", {
      method: "POST", signal, body: JSON.stringify({ action, ...one, dryRun, force }), headers: { "Content-Type": "application/json" },
    });
  }

  async function rooms({ search = "", signal, ...unknown } = {}) {
    refuseUnknown(unknown);
    const all = [];
    let incomplete = false;
    let cursor = "";
    do {
      const query = new URLSearchParams({ limit: 1000, ...(search && { search }), ...(cursor && { cursor }) });
      const page = await read(`/api/rooms?${query}`, { signal });
      all.push(...page.rooms);
      incomplete ||= page.incomplete === true;
      cursor = page.nextCursor;
    } while (cursor);
    if (incomplete) {
      const error = new RollcallError("Part of Redis does not answer, and its rooms are missing from the list", { status: 200 });
      throw Object.assign(error, { rooms: all });
    }
    return all;
  }

  async function room(name, options) {
    const path = `/api/rooms?name=${encodeURIComponent(roomName(name).toWellFormed())}`;
    try {
      return await read(path, options);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  async function participants(name, options) {
    return (await room(name, options))?.participants ?? [];
  }

  // stream reads one connection. It ends when the node ends it, and throws as open does, or when nothing has come for a while.
  async function* stream(path, { lastId = "", signal, ...unknown } = {}) {
    refuseUnknown(unknown);
    const quiet = new AbortController();
    let timer = 0;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(new RollcallError(`The node at ${base.origin} has sent nothing for 45 s`)), silence);
    };
    const headers = { Accept: "text/event-stream" };
    if (lastId) headers["Last-Event-ID"] = lastId;
    heard();
    try {
      const response = await open(path, { headers, signal: signal ? AbortSignal.any([signal, quiet.signal]) : quiet.signal });
      yield { event: "connected", data: "null" };
      const parse = createParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        heard();
        yield* parse(value);
      }
    } finally {
      clearTimeout(timer);
      quiet.abort(); // closes the connection if the caller wants no more
    }
  }

  async function* events(options = {}) {
    const [one, { after = "", signal, ...unknown }] = takeRoom(options);
    refuseUnknown(unknown);
    const path = `/api/events${one.room === undefined ? "" : `?room=${encodeURIComponent(one.room.toWellFormed())}`}`;
    let lastId = after;
    for (let wait = firstRetry; ; wait = Math.min(2 * wait, lastRetry)) {
      let retryAfter = 0;
      try {
        for await (const { event, id, data } of stream(path, { lastId, signal })) {
          wait = firstRetry;
          lastId = id ?? lastId;
          yield { type: event, id: id ?? "", data: JSON.parse(data) };
        }
      } catch (error) {
        if (signal?.aborted || (error.status >= 400 && error.status < 500)) throw error;
        retryAfter = (error.retryAfter ?? 0) * 1000;
      }
      await pause(Math.max(wait, retryAfter), signal);
      signal?.throwIfAborted();
    }
  }

  return {
    open, request, read, act, rooms, room, participants, stream, events,
    status: (options) => read("/api/sync-rooms", options),
    sync: (options) => act("sync", options),
    cleanup: (options) => act("cleanup", options),
    fullSync: (options) => act("full-sync", options),
    startService: (options) => act("start-service", options),
    stopService: (options) => act("stop-service", options),
  };
}

// The node of calls that name none, and what is known of its service. A bundler may put several copies of this module into one program: they share it.
const shared = (globalThis[Symbol.for("rollcall-client")] ??= { place: {}, running: false, watch: null, warned: false });
const watchEvery = 2000;

const at = (where) => createClient(Object.keys(where).length ? where : shared.place);

/** Sets the node of all calls that name none, and resolves with its status. */
export async function connect(where = {}) {
  const client = createClient(where);
  shared.place = where;
  shared.watch = null;
  return startWatch(client);
}

// startWatch asks the node from now on, and resolves with its first answer.
async function startWatch(client) {
  const mine = {};
  shared.watch = mine;
  shared.running = false;
  async function look() {
    let now = false;
    try {
      const status = await client.status();
      now = status.syncServiceRunning;
      return status;
    } finally {
      if (shared.watch === mine) {
        shared.running = now;
        setTimeout(() => shared.watch === mine && look().catch(() => {}), watchEvery).unref?.();
      }
    }
  }
  return look();
}

/** Runs a sync now, of all rooms or of one, and resolves with its answer when it has ended. */
export async function triggerImmediateSync(options = {}) {
  const [one, { signal, dryRun, force, ...where }] = takeRoom(options);
  const answer = await at(where).sync({ ...one, signal, dryRun, force });
  return { ...answer, ...answer.result };
}

/** Syncs one room: triggerImmediateSync by another name. */
export async function syncRoomFromLiveKit(name, options = {}) {
  return triggerImmediateSync({ ...options, room: roomName(name) });
}

/** Syncs all rooms: triggerImmediateSync by another name. */
export async function syncAllRoomsWithLiveKit({ signal, dryRun, force, ...where } = {}) {
  const answer = await at(where).sync({ signal, dryRun, force });
  return { ...answer, ...answer.result };
}

/**
 * Without options, returns at once whether the schedule of syncs was running when the node was last asked: at most 2 s ago, once connect has
 * resolved. It is false before the first answer, while the node does not answer, and while nothing says where the node is. With options, resolves
 * with what the node says now.
 */
export function isSyncServiceRunning(options) {
  if (options === undefined) {
    if (!shared.watch) startFirstWatch();
    return shared.running;
  }
  return askRunning(options);
}

async function askRunning({ signal, ...where }) {
  return (await at(where).status({ signal })).syncServiceRunning;
}

// A caller that wants a boolean expects no error.
function startFirstWatch() {
  try {
    startWatch(at({})).catch(() => {});
  } catch (error) {
    if (!shared.warned) console.warn(`isSyncServiceRunning() returns false: ${error.message}`);
    shared.warned = true;
  }
}

/** Resolves with all rooms. */
export async function rooms({ search, signal, ...where } = {}) {
  return at(where).rooms({ search, signal });
}

/** Resolves with a room's state, or null if there is no such room now. */
export async function room(name, { signal, ...where } = {}) {
  return at(where).room(name, { signal });
}

/** Resolves with everyone who is in a room, of whatever kind. */
export async function participants(name, { signal, ...where } = {}) {
  return at(where).participants(name, { signal });
}

/** Resolves with the identities that count as present, as rooms:participants has them by default. */
export async function getRoomParticipants(name, { signal, ...where } = {}) {
  const all = await at(where).participants(name, { signal });
  return all.filter(({ kind, hidden }) => !hidden && (kind === "STANDARD" || kind === "SIP")).map(({ identity }) => identity);
}

/** Yields what happens, until the caller stops or signal aborts. It connects again by itself. */
export function events(options = {}) {
  const [one, { after, signal, ...where }] = takeRoom(options);
  return at(where).events({ ...one, after, signal });
}
