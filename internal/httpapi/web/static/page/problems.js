// The list of what is wrong, each with what to do about it.

import { now } from "./clock.js";
import { h, keyed, setText, show } from "./dom.js";
import { problems } from "./health.js";

const fixes = {
  token: ["Enter a token", (app) => app.askToken()],
  retry: ["Try now", (app) => app.live.retry()],
  start: ["Start the schedule", (app) => app.actions.run({ action: "start-service" })],
  force: ["Look and force…", (app) => app.askForce()],
};

/** createProblems lists them; inOverview is for the one that stands below the overview's headline. */
export function createProblems(app, { inOverview = false } = {}) {
  const list = h("ul", { class: "problems", "aria-label": "Problems" });
  app.store.on(["status", "cluster", "route", "second"], (state) => {
    const found = problems(state, now());
    const focused = list.contains(document.activeElement);
    show(list, found.length > 0 && (state.route?.view === "overview") === inOverview);
    keyed(list, found, (p) => p.title.replace(/\d[\d,]*/g, "#"), (p) => create(app, p), update);
    if (focused && (list.hidden || !list.contains(document.activeElement))) goOn(list);
  });
  return list;
}

// Who solved a problem by its button, which is gone now, goes on at the next one, or at the beginning of the view.
function goOn(list) {
  const places = [...list.querySelectorAll("button"), ...document.querySelectorAll("main h1")];
  places.find((place) => place.checkVisibility())?.focus({ preventScroll: true });
}

function create(app, problem) {
  const title = h("strong", {});
  const todo = h("p", {});
  const item = h("li", { "data-level": problem.level }, h("div", {}, title, todo));
  if (fixes[problem.fix]) {
    const [text, run] = fixes[problem.fix];
    item.append(h("button", { type: "button", on: { click: () => run(app) } }, text));
  }
  item.parts = { title, todo };
  return item;
}

function update(item, problem) {
  setText(item.parts.title, problem.title);
  setText(item.parts.todo, problem.todo);
}
