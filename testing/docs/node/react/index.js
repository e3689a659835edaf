// A stand-in for React: one component, which keeps its state from one call to the next.
const states = [];
const effects = [];
let at = 0;

/** render calls the component, runs the effects whose dependencies have changed, and returns what the component returned. */
export function render(component, props) {
  at = 0;
  const tree = component(props);
  for (const effect of effects) {
    if (!effect?.due) continue;
    effect.due = false;
    effect.undo?.();
    effect.undo = effect.run();
    if (typeof effect.undo === "object") throw new Error("an effect must return a function or nothing");
  }
  return tree;
}

export function useState(first) {
  const n = at++;
  states[n] ??= { value: first };
  return [states[n].value, (value) => { states[n].value = value; }];
}

export function useEffect(run, dependencies) {
  const n = at++;
  const says = JSON.stringify(dependencies);
  if (effects[n]?.says !== says) effects[n] = { run, says, due: true, undo: effects[n]?.undo };
}

export const Fragment = "fragment";
export const jsx = (type, props) => ({ type, props });
export const jsxs = jsx;
