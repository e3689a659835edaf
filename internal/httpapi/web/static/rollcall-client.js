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

// The node that served this module. A module that was bundled or copied has no better guess than its own origin.
function ownOrigin() {
  return new URL(".", import.meta.url).href;
}

function makeHeaders(token, more) {
  const headers = new Headers(more);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  return headers;
}

async function refusal(response) {
  let message = "";
  try {
    message = (await response.json()).error ?? "";
  } catch {
    // A proxy's page, mostly: its status says enough.
  }
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return new RollcallError(message || `The answer was ${response.status}`, { status: response.status, retryAfter });
}

/**
 * Makes a client. Every method resolves with the answer's JSON, as docs/api.md has it, and rejects with a RollcallError,
 * or with the signal's reason when it was aborted.
 */
export function createClient({ endpoint = "", token = "", fetch: send = (...args) => globalThis.fetch(...args) } = {}) {
  const base = new URL(endpoint || ownOrigin(), globalThis.location?.href);

  // open resolves with the Response itself once it is a success.
  async function open(path, { method = "GET", headers, body, signal } = {}) {
    let response;
    try {
      response = await send(new URL(path.replace(/^\//, ""), base.href.replace(/\/*$/, "/")), {
        method, body, signal, headers: makeHeaders(token, headers), cache: "no-store",
      });
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new RollcallError("The node does not answer", { cause });
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async function request(path, init = {}) {
    const response = await open(path, init);
    try {
      return await response.json();
    } catch (cause) {
      if (init.signal?.aborted) throw init.signal.reason;
      throw new RollcallError("The answer is not JSON", { status: response.status, cause });
    }
  }

  async function read(path, { signal } = {}) {
    const late = AbortSignal.timeout(readTimeout);
    try {
      return await request(path, { signal: signal ? AbortSignal.any([signal, late]) : late });
    } catch (cause) {
      if (cause === late.reason) throw new RollcallError("The node does not answer in time", { cause });
      throw cause;
    }
  }

  function act(action, { dryRun, force, signal } = {}) {
    const order = { action };
    if (dryRun) order.dryRun = true;
    if (force) order.force = true;
    return request("/api/sync-rooms", {
      method: "POST", signal, body: JSON.stringify(order), headers: { "Content-Type": "application/json" },
    });
  }

  return {
    open, request, read, act,
    status: (options) => read("/api/sync-rooms", options),
    sync: (options) => act("sync", options),
    cleanup: (options) => act("cleanup", options),
    fullSync: (options) => act("full-sync", options),
    startService: (options) => act("start-service", options),
    stopService: (options) => act("stop-service", options),
  };
}

/** Runs a sync now and resolves with its answer when it has ended. */
export function triggerImmediateSync({ signal, dryRun, force, ...where } = {}) {
  return createClient(where).sync({ signal, dryRun, force });
}

/** Resolves with whether the schedule of syncs is running. */
export async function isSyncServiceRunning({ signal, ...where } = {}) {
  return (await createClient(where).status({ signal })).syncServiceRunning;
}
