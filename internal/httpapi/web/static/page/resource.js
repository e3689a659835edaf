// One thing to be read again and again: a slice { data, at, error, busy } of the store.
// data stays when a read fails, so that the page can show what was known, with its age.

/** createResource gives refresh(), whose promise is kept when a read that began after the call has ended; it never fails. */
export function createResource(store, key, read) {
  let running = null; // the read that is under way
  let next = null; // and the one after it, for all who ask meanwhile
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
    /** forget drops what was read with another token. */
    forget() {
      generation += 1;
      store.set(key, { data: null, at: 0, error: null, busy: false });
    },
  };
}
