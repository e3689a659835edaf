// A resource that is polled: a slice { data, at, error, busy } of the store.
// When a read fails, data is kept, so that the page can show it with its age.

/** createResource returns refresh(), whose promise resolves when a read that began after the call has ended; it never rejects. */
export function createResource(store, key, read) {
  let running = null; // the current read
  let next = null; // the read after it, for all calls made meanwhile
  let generation = 0;
  store.set(key, { data: null, at: 0, error: null, busy: false });

  async function once(of) {
    store.set(key, { ...store.state[key], busy: true });
    try {
      const data = await read();
      if (of === generation) store.set(key, { data, at: Date.now(), error: null, busy: false });
    } catch (error) {
      if (of === generation) store.set(key, { ...store.state[key], error, busy: false });
    }
  }

  function refresh() {
    if (running) {
      next ??= running.then(() => {
        next = null;
        return refresh();
      });
      return next;
    }
    running = once(generation).then(() => { running = null; });
    return running;
  }

  return {
    key,
    refresh,
    /** forget drops data that was read with another token. */
    forget() {
      generation += 1;
      store.set(key, { data: null, at: 0, error: null, busy: false });
    },
  };
}
