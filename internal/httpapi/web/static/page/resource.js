// One thing to be read again and again: a slice { data, at, error, busy } of the store.
// data stays when a read fails, so that the page can show what was known, with its age.

/** createResource gives refresh(), which joins a read that is under way, and reads once more after it if asked meanwhile. */
export function createResource(store, key, read) {
  let running = null;
  let again = false;
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

  async function run() {
    do {
      again = false;
      await once(generation);
    } while (again);
    running = null;
  }

  return {
    key,
    refresh() {
      if (running) again = true;
      else running = run();
      return running;
    },
    /** forget drops what was read with another token. */
    forget() {
      generation += 1;
      store.set(key, { data: null, at: 0, error: null, busy: false });
    },
  };
}
