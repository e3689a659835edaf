// The live connection: opened, watched, and opened again. It never gives up while it is wanted, and reports its state.

const slowest = 15_000;
const afterRefusal = 60_000;

// The refusals that no quick retry overcomes; a new token, or another version of the node, can.
function isFinal(error) {
  return error.status === 401 || error.status === 403 || error.status === 404 || error.status === 405;
}

/**
 * createStream calls heard(event) for each event and told({ state, error, retryAt, resumed }) for each change of state. States:
 * connecting, live, waiting (for retryAt), refused. After a refusal it tries again now and then, because another node behind the same address may have
 * answered, or a proxy.
 */
export function createStream(session, heard, told) {
  let stopper = null;
  let wake = () => {};

  async function run(path, signal) {
    let lastId;
    let failures = 0;
    let refused = false;
    const pauseFor = (ms) => new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => { clearTimeout(timer); resolve(); };
      signal.addEventListener("abort", wake, { once: true });
    });
    while (!signal.aborted) {
      if (!refused) told({ state: "connecting", failures });
      let error = null;
      try {
        for await (const event of session.client.stream(path, { lastId, signal })) {
          if (event.event === "connected") {
            told({ state: "live", resumed: Boolean(lastId) });
            failures = 0;
            continue;
          }
          lastId = event.id ?? lastId;
          heard(event);
        }
      } catch (cause) {
        error = cause;
      }
      if (signal.aborted) return;
      refused = Boolean(error) && isFinal(error);
      if (refused) {
        told({ state: "refused", error });
        await pauseFor(afterRefusal);
        continue;
      }
      failures += 1;
      const pause = Math.max((error?.retryAfter ?? 0) * 1000, Math.min(slowest, 500 * 2 ** failures)) * (0.8 + Math.random() * 0.4);
      told({ state: "waiting", error, failures, retryAt: Date.now() + pause });
      await pauseFor(pause);
    }
  }

  return {
    start(path) {
      stopper?.abort();
      stopper = new AbortController();
      run(path, stopper.signal);
    },
    stop() {
      stopper?.abort();
      stopper = null;
    },
    /** hurry ends a wait. */
    hurry: () => wake(),
  };
}
