// The roster: Redis and LiveKit side by side, with differences marked by words and not by colour alone.

import { isDenied } from "./access.js";
import { now, setWhen, when } from "./clock.js";
import { h, isIdle, keyed, setIdle, setText, show } from "./dom.js";
import { plural } from "./format.js";
import { createPanel, whyNot } from "./panel.js";
import { plain, safe } from "./text.js";

const words = { same: "Same", differs: "Differs", redis: "Only in Redis", livekit: "Only in LiveKit", unknown: "Not compared yet" };

function presence(there) {
  return h("span", { class: "presence", "data-there": there }, { yes: "Present", no: "Absent", unknown: "–" }[there]);
}

function details(participant) {
  const list = [["sid", participant.sid], ["version", participant.version], ["metadata", participant.metadata],
    ...Object.entries(participant.attributes ?? {}).map(([key, value]) => [`attribute ${key}`, value])].filter(([, value]) => value !== "" && value !== undefined);
  return h("dl", { class: "pairs" }, list.map(([key, value]) => h("div", {}, h("dt", {}, plain(key)), h("dd", {}, safe(value)))));
}

function differences(row) {
  return row.fields.map((field) => h("p", { class: "difference" }, `${field}: Redis has `, safe(show1(row.redis[field])), ", LiveKit has ", safe(show1(row.livekit[field]))));
}

function show1(value) {
  return typeof value === "object" ? JSON.stringify(value) : value;
}

function create() {
  const joined = when(NaN);
  const row = h("tr", {}, h("th", { scope: "row" }), h("td", { class: "joined" }, joined), h("td", {}), h("td", {}), h("td", {}));
  row.joined = joined;
  return row;
}

function update(row, item) {
  const participant = item.redis ?? item.livekit;
  // A row is redrawn only when its content differs, so that an opened disclosure stays open.
  const says = JSON.stringify(item);
  setWhen(row.joined, participant.joinedAt);
  if (row.says === says) return;
  const open = row.querySelector("details")?.open;
  row.says = says;
  row.dataset.state = item.state;
  const [who, , redis, livekit, verdict] = row.children;
  const tags = [participant.kind && participant.kind !== "STANDARD" ? participant.kind : "", participant.hidden ? "HIDDEN" : ""].filter(Boolean);
  who.replaceChildren(h("details", { open }, h("summary", {}, safe(participant.identity),
    participant.name && participant.name !== participant.identity ? [" ", safe(participant.name, { className: "second-name" })] : null,
    tags.map((tag) => h("span", { class: "tag" }, plain(tag.toLowerCase())))), details(participant), differences(item)));
  redis.replaceChildren(presence(item.redis ? "yes" : "no"));
  livekit.replaceChildren(presence(item.state === "unknown" ? "unknown" : item.livekit ? "yes" : "no"));
  verdict.replaceChildren(h("span", { class: "state", "data-level": item.state === "same" ? "ok" : item.state === "unknown" ? "" : "bad" }, words[item.state],
    item.fields.length ? `: ${item.fields.join(", ")}` : ""));
}

/** createRoster returns { panel, draw(comparison, { room, look }) }; ask() asks LiveKit again. */
export function createRoster(ask) {
  const panel = createPanel("Redis and LiveKit", "roster");
  const verdict = h("span", { class: "aside-text", role: "status" });
  const time = when(NaN);
  const again = h("button", { type: "button", class: "small", on: { click: press } }, "Ask LiveKit again");
  panel.aside.append(verdict, time, again);
  const body = h("tbody", {});
  const table = h("table", {}, h("caption", { class: "unseen" }, "Participants in Redis and in LiveKit"), h("thead", {}, h("tr", {},
    ["Participant", "Joined", "Redis", "LiveKit", "Compared"].map((text) => h("th", { scope: "col" }, text)))), body);
  panel.body.append(table);

  // Only requests made by the user are shown: the others come with every change.
  function press() {
    if (isIdle(again)) return;
    setIdle(again, true);
    ask();
  }
  function draw({ known, rows, different }, { room, look }) {
    keyed(body, rows, (row) => row.sid, create, update);
    show(table, rows.length > 0);
    show(again, !isDenied(room.error));
    setIdle(again, isIdle(again) && look.busy);
    setText(again, isIdle(again) ? "Asking LiveKit…" : "Ask LiveKit again");
    show(time, known);
    setWhen(time, look.at ? now() - (Date.now() - look.at) : NaN);
    if (look.error) setText(verdict, `LiveKit: ${whyNot(look.error)}`);
    else if (known) setText(verdict, different ? `${plural(different, "difference")}${look.data.listed ? "" : ", and LiveKit does not list the room"}` : look.data.listed ? "no difference" : "LiveKit does not list the room");
    else setText(verdict, "");
    panel.element.dataset.different = known && different ? "yes" : "no";
    panel.note(rows.length ? "" : room.data && !room.error ? "Nobody is in this room." : room.error?.status === 404 ? "Redis has no such room." : isDenied(room.error) ? whyNot(room.error) : "");
  }
  return { panel, draw };
}
