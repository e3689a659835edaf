// The state of the page in named slices, and the listeners of each.

/** createStore collects changes for a moment, so that a burst of a thousand events is drawn once. */
export function createStore(initial) {
  const state = { ...initial };
  const listeners = new Set();
  const changed = new Set();
  let timer = 0;

  function flush() {
    timer = 0;
    const keys = new Set(changed);
    changed.clear();
    for (const listener of [...listeners]) {
      if (listener.keys.some((key) => keys.has(key))) listener.run(state);
    }
  }

  return {
    state,
    set(key, value) {
      state[key] = value;
      this.touch(key);
    },
    /** touch reports a change inside a slice. */
    touch(key) {
      changed.add(key);
      // Not an animation frame: those stop in a hidden tab, whose title should still say that something is wrong.
      timer ||= setTimeout(flush, 30);
    },
    /** on calls run now and after each change of one of the slices; it returns a function that stops that. */
    on(keys, run) {
      const listener = { keys, run };
      listeners.add(listener);
      run(state);
      return () => listeners.delete(listener);
    },
  };
}
