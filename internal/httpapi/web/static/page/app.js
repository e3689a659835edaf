// Assembles the page: its state, the code that keeps it current, and the views that show it.

import { createActions } from "./actions.js";
import { now, tick } from "./clock.js";
import { h, show } from "./dom.js";
import { createHeader } from "./header.js";
import { alarms, problems } from "./health.js";
import { createLive } from "./live.js";
import { createProblems } from "./problems.js";
import { createRooms } from "./rooms.js";
import { watch } from "./router.js";
import { createSession } from "./session.js";
import { createStore } from "./store.js";
import { plain } from "./text.js";
import { createTokenDialog } from "./token.js";
import { createDriftView } from "./view-drift.js";
import { createOverview } from "./view-overview.js";
import { createRoomView } from "./view-room.js";
import { createRoomsView } from "./view-rooms.js";
import { createUnknownView } from "./view-unknown.js";

function start() {
  const store = createStore({ since: {} });
  const app = { store };
  app.session = createSession(() => {
    store.set("hasToken", app.session.token !== "");
    app.live.restart();
  });
  store.set("hasToken", app.session.token !== "");
  app.rooms = createRooms(store, app.session);
  app.live = createLive(store, app.session, app.rooms);
  app.actions = createActions(store, app.session, app.live);
  app.askToken = createTokenDialog(app);

  const views = {
    overview: createOverview(app), rooms: createRoomsView(app), room: createRoomView(app), drift: createDriftView(app), unknown: createUnknownView(),
  };
  const main = document.querySelector("main");
  main.replaceChildren(createProblems(app), ...Object.values(views).map((view) => view.element));
  document.querySelector("header").replaceWith(createHeader(app));
  skipLink(main);

  let current = null;
  watch((route) => {
    const moved = current !== null && (current.view !== route.view || current.room !== route.room);
    if (current && current.view !== route.view) views[current.view].leave?.();
    current = route;
    for (const [name, view] of Object.entries(views)) show(view.element, name === route.view);
    views[route.view].enter(route);
    store.set("route", route);
    if (moved) arrive(views[route.view].element);
  });
  store.on(["route", "status", "cluster"], () => retitle(store, route(current)));
  setInterval(() => { tick(); store.touch("second"); }, 1000);
  app.live.start();
}

// Users of the keyboard or of a screen reader must land in the new view when they follow a link.
function arrive(element) {
  scrollTo(0, 0);
  element.querySelector("h1").focus({ preventScroll: true });
}

function skipLink(main) {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash is the router's
    main.focus();
  });
}

function route(current) {
  return { overview: "", rooms: "Rooms", drift: "Drift", unknown: "No such address", room: current.room === undefined ? "" : plain(current.room) }[current.view];
}

function retitle(store, place) {
  const wrong = alarms(problems(store.state, now())).length;
  document.title = `${wrong ? `(${wrong}) ` : ""}${place ? `${place} · ` : ""}rollcall`;
}

try {
  start();
} catch (error) {
  document.querySelector("main").replaceChildren(h("p", { class: "panel" }, "The page failed to start: ", String(error.message)));
  throw error;
}
