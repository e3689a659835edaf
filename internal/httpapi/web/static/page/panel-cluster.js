// The cluster: its members, its leader, and how the rooms are distributed.

import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { count } from "./format.js";
import { createPanel, follow } from "./panel.js";
import { plain, safe } from "./text.js";

const stateWords = { ready: "Ready", unready: "Not ready", unreachable: "Unreachable", away: "Away" };

// A node's rooms in memory include some that have finished. An older node reports only those.
const roomsOf = (member) => member.occupancy?.rooms ?? member.rooms ?? 0;

function createMember(member) {
  const leader = h("span", { class: "tag", "data-level": "accent" }, "Leader");
  const here = h("span", { class: "tag" }, "This node");
  const voter = h("span", { class: "tag" }, "No vote");
  const address = h("span", { class: "below" });
  const shards = h("span", { class: "below" });
  const state = h("span", { class: "state" });
  const rooms = h("span", {});
  const bar = h("meter", { min: "0" });
  const row = h("tr", {},
    h("th", { scope: "row" }, h("span", { class: "member" }, safe(member.id), leader, here, voter), address, shards),
    h("td", {}, state), h("td", { class: "number" }, rooms, bar));
  row.parts = { leader, here, voter, address, shards, state, rooms, bar };
  return row;
}

function updateMember(row, member, data, me, most) {
  const p = row.parts;
  show(p.leader, member.id === data.leader);
  show(p.here, member.id === me);
  show(p.voter, member.voter === false);
  setText(p.address, [member.httpAddr, member.version].filter(Boolean).map(plain).join(" · "));
  const failing = member.cannotWrite ?? [];
  show(p.shards, failing.length > 0 || Boolean(member.why));
  setText(p.shards, failing.length > 0 ? `Redis takes no commits at ${failing.map(plain).join(", ")}` : plain(member.why ?? ""));
  setText(p.state, stateWords[member.state] ?? plain(member.state));
  p.state.dataset.level = { ready: "ok", away: failing.length > 0 ? "bad" : "", unreachable: data.leader ? "" : "bad" }[member.state] ?? "bad";
  setText(p.rooms, count(roomsOf(member)));
  setAttribute(p.bar, "max", Math.max(1, most));
  setAttribute(p.bar, "value", roomsOf(member));
  setAttribute(p.bar, "aria-label", `Rooms of ${plain(member.id)}`);
}

export function createCluster(app) {
  const panel = createPanel("Cluster", "cluster");
  const facts = h("span", { class: "aside-text" });
  panel.aside.append(facts);
  const body = h("tbody", {});
  const total = h("td", { class: "number" });
  const ready = h("td", {});
  panel.body.append(h("table", { class: "members" },
    h("caption", { class: "unseen" }, "Members of the cluster"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Node"), h("th", { scope: "col" }, "State"), h("th", { scope: "col", class: "number" }, "Rooms"))),
    body, h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Together"), ready, total))));
  follow(app, "cluster", panel, draw);
  app.store.on(["status"], (state) => { if (state.cluster.data) draw(state.cluster.data, state); });

  function draw(data, state) {
    const members = data.members ?? [];
    const most = Math.max(0, ...members.map(roomsOf));
    setText(facts, `${data.leader ? `led by ${plain(data.leader)}` : "no leader"} · term ${data.term} · epoch ${data.epoch}`);
    keyed(body, members, (m) => m.id, createMember, (row, m) => updateMember(row, m, data, state.status.data?.node, most));
    setText(total, count(members.reduce((sum, m) => sum + roomsOf(m), 0)));
    setText(ready, `${members.filter((m) => m.state === "ready").length} of ${members.length} ready`);
  }
  return panel.element;
}
