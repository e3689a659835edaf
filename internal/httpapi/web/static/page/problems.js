// The list of what is wrong, each with what to do about it.

import { mayAct } from "./access.js";
import { now } from "./clock.js";
import { h, keyed, setText, show } from "./dom.js";
import { problems } from "./health.js";

// The text of a button, what it does, and whether that is an action.
const fixes = {
  token: ["Enter a token", (app) => app.askToken()],
  retry: ["Try now", (app) => app.live.retry()],
  start: ["Start the schedule", (app) => app.actions.run({ action: "start-service" }), true],
  force: ["Look and force…", (app) => app.askForce(), true],
};

/** createProblems lists them; inOverview is for the list below the overview's headline. */
export function createProblems(app, { inOverview = false } = {}) {
  const list = h("ul", { class: "problems", "aria-label": "Problems" });
  app.store.on(["status", "cluster", "route", "second"], (state) => {
    const found = problems(state, now());
    const focused = list.contains(document.activeElement);
    show(list, found.length > 0 && (state.route?.view === "overview") === inOverview);
    keyed(list, found, (p) => p.title.replace(/\d[\d,]*/g, "#"), (p) => create(app, p), (item, p) => update(item, p, mayAct(state)));
    if (focused && (list.hidden || !list.contains(document.activeElement))) goOn(list);
  });
  return list;
}

// When a problem is solved with its button, the button disappears: the focus moves to the next one, or to the start of the view.
function goOn(list) {
  const places = [...list.querySelectorAll("button"), ...document.querySelectorAll("main h1")];
  places.find((place) => place.checkVisibility())?.focus({ preventScroll: true });
}

function create(app, problem) {
  const title = h("strong", {});
  const todo = h("p", {});
  const item = h("li", { "data-level": problem.level }, h("div", {}, title, todo));
  item.parts = { title, todo };
  if (fixes[problem.fix]) {
    const [text, run] = fixes[problem.fix];
    item.parts.button = h("button", { type: "button", on: { click: () => run(app) } }, text);
    item.append(item.parts.button);
  }
  return item;
}

function update(item, problem, allowed) {
  if (item.parts.button) show(item.parts.button, allowed || !fixes[problem.fix]?.[2]);
  setText(item.parts.title, problem.title);
  if (item.parts.todo.textContent === problem.todo) return;
  // A flag is not broken at its hyphens.
  item.parts.todo.replaceChildren(...problem.todo.split(/(--[a-z][a-z-]+)/).map((part, i) => (i % 2 ? h("code", {}, part) : part)));
}
