// One room: who is in it, what LiveKit says now, and its history.

import { createRoomActions } from "./action-box.js";
import { compare } from "./compare.js";
import { setWhen, when } from "./clock.js";
import { h, setText, show } from "./dom.js";
import { plural } from "./format.js";
import { hasNoRedis } from "./health.js";
import * as icons from "./icons.js";
import { createLook, inRedis, isGone } from "./look.js";
import { createPanel, showAge, whyNot } from "./panel.js";
import { createResource } from "./resource.js";
import { createRoster } from "./roster.js";
import { plain, safe } from "./text.js";
import { createTimeline } from "./timeline.js";

const rereadAfter = 15_000;
const rereadBlind = 1_500; // without the node's status only the room itself shows that Redis is away

function facts() {
  const sid = h("code", {});
  const created = when(NaN);
  const updated = when(NaN);
  const rest = h("span", {});
  const element = h("p", { class: "room-facts" }, h("span", {}, "started ", created), h("span", {}, "updated ", updated), rest, sid);
  return {
    element,
    draw(state) {
      setText(sid, plain(state.sid || "no sid yet"));
      setWhen(created, state.createdAt);
      setWhen(updated, state.lastUpdated);
      setText(rest, `version ${state.version}${state.maxParticipants ? `, at most ${state.maxParticipants}` : ""}`);
    },
  };
}

export function createRoomView(app) {
  let name = null;
  const query = () => `name=${encodeURIComponent(String(name).toWellFormed())}`;
  const read = (path) => () => app.session.client.read(path());
  const state = createResource(app.store, "room", read(() => `/api/rooms?${query()}`));
  const timeline = createResource(app.store, "timeline", read(() => `/api/rooms/timeline?${query()}&limit=100`));
  const livekit = createLook(app, state, read(() => `/api/rooms/livekit?${query()}`));

  const title = h("h1", { tabindex: "-1" });
  const people = h("span", { class: "tag" });
  const about = facts();
  const note = h("p", { class: "note", role: "status" });
  const roster = createRoster(() => livekit.refresh());
  const history = createTimeline();
  const metadata = createPanel("Metadata", "metadata");
  const raw = h("pre", { class: "raw", tabindex: "0", role: "region", "aria-label": "The room's metadata" });
  metadata.body.append(raw);
  const element = h("div", { class: "view room" },
    h("a", { class: "back", href: "#/rooms" }, icons.back(), "All rooms"),
    h("div", { class: "view-head" }, h("div", { class: "room-title" }, title, people)), about.element, createRoomActions(app, () => name), note,
    roster.panel.element, metadata.element, history.panel.element);

  app.store.on(["room", "livekit", "status"], ({ room, livekit: look, status }) => {
    if (name === null) return;
    const gone = isGone(room);
    const data = inRedis(room);
    show(about.element, Boolean(data));
    show(people, Boolean(data));
    setText(note, gone ? "This room is not live now. Its timeline, below, may still show what happened."
      : data && (room.error || status.data?.redis?.state === "silent") ? "Redis cannot be read now. This is what the page last read from it."
        : room.error ? whyNot(room.error) : data ? "" : "Loading…");
    show(note, note.textContent !== "");
    if (data) {
      about.draw(data);
      setText(people, plural((data.participants ?? []).length, "participant"));
    }
    setText(raw, plain(data?.metadata ?? ""));
    show(metadata.element, Boolean(data?.metadata));
    // While Redis cannot be read, nothing is reported as only in LiveKit.
    const comparison = compare(data, data || gone ? look.data : null, look.error, look.data?.before);
    livekit.found(comparison.different);
    roster.draw(comparison, { room, look });
  });
  app.store.on(["timeline"], ({ timeline: line }) => history.draw(line));
  app.store.on(["room", "timeline", "second"], ({ room, timeline: line, route }) => {
    if (route?.view !== "room") return;
    showAge(roster.panel, { ...room, data: inRedis(room) });
    showAge(history.panel, line);
  });
  let seen = 0;
  let lastRead = 0;
  app.store.on(["acted"], ({ acted, route }) => {
    if (route?.view !== "room" || acted.order.room !== name) return;
    reread();
    livekit.renew();
  });
  app.store.on(["reconnected"], ({ route }) => { if (route?.view === "room") reread(); });
  function reread() {
    lastRead = Date.now();
    state.refresh();
    timeline.refresh();
  }
  app.store.on(["lastChange"], ({ changes, route }) => {
    const mine = (changes ?? []).find((change) => change.room === name && change.seen > seen);
    seen = changes?.[0]?.seen ?? seen;
    if (route?.view === "room" && mine) reread();
  });
  // The view shows what Redis holds, so it must notice at once when Redis is away or back.
  let away = false;
  app.store.on(["status"], (all) => {
    const changed = away !== hasNoRedis(all);
    away = hasNoRedis(all);
    if (changed && all.route?.view === "room") reread();
  });
  app.store.on(["second"], ({ route, conn, status }) => {
    if (route?.view !== "room") return;
    app.live.narrow(name);
    if (!document.hidden && Date.now() - lastRead > (status.error ? rereadBlind : conn.state === "live" ? rereadAfter : rereadAfter / 3)) reread();
  });
  return {
    element,
    enter({ room }) {
      if (name !== room) {
        for (const resource of [state, timeline, livekit]) resource.forget();
        history.fold();
        name = room;
        title.replaceChildren(safe(room));
      }
      livekit.renew();
      reread();
    },
  };
}
