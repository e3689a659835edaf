// All rooms, possibly thousands, with search and sorting.

import { setWhen, when } from "./clock.js";
import { h, isIdle, setAttribute, setIdle, setText, show, uniqueId } from "./dom.js";
import { count, plural, span } from "./format.js";
import { isStale } from "./health.js";
import * as icons from "./icons.js";
import { peopleIn } from "./occupancy.js";
import { whyNot } from "./panel.js";
import { roomLink } from "./router.js";
import { safe } from "./text.js";
import { createVirtual } from "./virtual.js";

// Bytewise, as the node sorts, and the same in every locale.
const byName = (a, b) => (a.roomName < b.roomName ? -1 : a.roomName > b.roomName ? 1 : 0);
const orders = {
  name: { text: "Room", down: false, by: byName },
  people: { text: "People", down: true, by: (a, b) => a.participantCount - b.participantCount },
  created: { text: "Started", down: true, by: (a, b) => a.createdAt - b.createdAt },
  updated: { text: "Updated", down: true, by: (a, b) => a.lastUpdated - b.lastUpdated },
};

/** arrange searches and sorts; it does not change rows. */
export function arrange(rows, { search, sort, down }) {
  const part = search.toLowerCase();
  const found = part ? rows.filter((row) => row.roomName.toLowerCase().includes(part)) : [...rows];
  const sign = down ? -1 : 1;
  return found.sort((a, b) => sign * orders[sort].by(a, b) || byName(a, b));
}

function createRow() {
  const link = h("a", {});
  const people = h("span", { role: "cell", class: "number" });
  const created = when(NaN);
  const updated = when(NaN);
  const row = h("div", { role: "row", class: "room-row" }, h("span", { role: "rowheader" }, link), people,
    h("span", { role: "cell", class: "time" }, created), h("span", { role: "cell", class: "time" }, updated));
  row.parts = { link, people, created, updated };
  return row;
}

function updateRow(row, room) {
  if (row.shown !== room.roomName) {
    row.shown = room.roomName;
    row.parts.link.replaceChildren(safe(room.roomName));
    row.parts.link.setAttribute("href", roomLink(room.roomName));
  }
  setText(row.parts.people, count(room.participantCount));
  row.dataset.empty = room.participantCount ? "no" : "yes";
  setWhen(row.parts.created, room.createdAt);
  setWhen(row.parts.updated, room.lastUpdated);
}

export function createRoomsView(app) {
  const want = { search: "", sort: "name", down: false };
  const heads = Object.entries(orders).map(([key, order]) => h("span", { role: "columnheader", class: key === "name" ? "" : "number", "data-sort": key },
    h("button", { type: "button", on: { click: () => sortBy(key) } }, order.text)));
  const list = createVirtual({ label: "Rooms", rowHeight: 44, columns: heads, create: createRow, update: updateRow, keyOf: (room) => room.roomName });
  const id = uniqueId("search");
  const input = h("input", { id, type: "search", placeholder: "Part of a room's name", autocomplete: "off", spellcheck: "false", maxlength: 256, on: { input: typed, keydown: leaveInput } });
  const status = h("p", { class: "note" });
  const heard = h("p", { class: "unseen", role: "status" }); // the result of a search, and not each room that begins or ends
  const age = h("span", { class: "age" });
  const more = h("button", { type: "button", class: "small", on: { click: () => { if (!isIdle(more)) app.rooms.more(); } } }, "Read on");
  const title = h("h1", { tabindex: "-1" }, "Rooms");
  const element = h("div", { class: "view rooms" },
    h("div", { class: "view-head" }, title,
      h("search", {}, h("label", { for: id, class: "unseen" }, "Search rooms"), icons.search(), input)),
    h("div", { class: "rooms-status" }, status, age, more, heard), list.element);

  function sortBy(key) {
    want.down = want.sort === key ? !want.down : orders[key].down;
    want.sort = key;
    list.top();
    changed();
  }
  let typing = 0;
  let searched = false; // the result of a search has not been announced yet
  function typed() {
    want.search = input.value;
    searched = true;
    list.top();
    changed();
    clearTimeout(typing);
    typing = setTimeout(() => {
      typing = 0;
      search(app.store.state);
    }, 250);
  }
  // A complete list is searched here; of a longer one only the node knows all names.
  function search({ rooms, route }) {
    if (typing || route?.view !== "rooms") return;
    if (rooms.search !== want.search && (rooms.search || (rooms.at && !rooms.complete))) app.rooms.searchNode(want.search);
    else if (!rooms.loading) tellFound();
  }
  function tellFound() {
    if (searched) setText(heard, status.textContent);
    else if (heard.textContent !== status.textContent) setText(heard, "");
    searched = false;
  }
  function leaveInput(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      list.focusFirst();
    }
  }
  function changed() {
    const query = new URLSearchParams();
    if (want.search) query.set("q", want.search);
    if (want.sort !== "name" || want.down) query.set("sort", (want.down ? "-" : "") + want.sort);
    history.replaceState(null, "", `#/rooms${query.size ? `?${query}` : ""}`);
    draw(app.store.state);
  }
  function draw({ rooms, route }) {
    if (route?.view !== "rooms") return;
    const all = [...rooms.rows.values()];
    const found = arrange(all, want);
    show(list.element, found.length > 0); // first, because a hidden element has no height to fill
    list.show(found);
    for (const head of heads) {
      const own = head.dataset.sort === want.sort;
      setAttribute(head, "aria-sort", own ? (want.down ? "descending" : "ascending") : null);
    }
    setText(status, say(rooms, all.length, found));
    drawMore(rooms);
  }
  function drawMore(rooms) {
    const focused = document.activeElement === more;
    show(more, rooms.at > 0 && !rooms.complete);
    setIdle(more, rooms.loading);
    if (focused && more.hidden) title.focus({ preventScroll: true });
  }
  // Events keep the list current; without them it is as old as its last read.
  let confirmed = 0;
  function drawAge({ rooms, conn, route }) {
    if (conn.state === "live" && !rooms.error) confirmed = Date.now();
    if (route?.view !== "rooms") return;
    const at = rooms.at && Math.max(rooms.at, confirmed);
    setText(age, isStale({ at }) ? `${span(Date.now() - at)} old` : "");
    show(age, age.textContent !== "");
  }
  function say(rooms, all, found) {
    if (rooms.error && !all) return whyNot(rooms.error);
    if (rooms.loading && !rooms.at) return all ? `Loading: ${plural(all, "room")} so far…` : "Loading…";
    const old = rooms.error ? `; reading again failed: ${whyNot(rooms.error)}` : "";
    if (rooms.incomplete && !found.length) return `The part of Redis that answers holds no such room${old}`;
    if (!all && rooms.search === "" && want.search === "") return `Redis holds no room now${old}`;
    if (!found.length) return `No room's name contains what you typed${old}`;
    const whole = (rooms.complete ? "" : ", and there are more") + (rooms.incomplete ? "; part of Redis does not answer, and its rooms are missing" : "");
    const people = found.reduce((sum, room) => sum + room.participantCount, 0);
    return peopleIn(people, want.search ? `${count(found.length)} of ${plural(all, "room")}` : plural(all, "room")) + whole + old;
  }
  app.store.on(["rooms", "route"], draw);
  app.store.on(["rooms", "route"], search);
  app.store.on(["rooms", "conn", "second"], drawAge);
  app.store.on(["second"], ({ route }) => { if (route?.view === "rooms" && !document.hidden) app.rooms.want(); });
  return {
    element,
    enter({ query }) {
      want.search = query.get("q") ?? "";
      const sort = query.get("sort") ?? "name";
      want.sort = sort.replace(/^-/, "") in orders ? sort.replace(/^-/, "") : "name";
      want.down = sort.startsWith("-");
      input.value = want.search;
      clearTimeout(typing);
      typing = 0;
      searched = false;
      app.rooms.want();
    },
  };
}
