// Describes changes in words.

import { h } from "./dom.js";
import { plural } from "./format.js";
import { plain, safe } from "./text.js";

const words = {
  participant_joined: ["joined", "in"], participant_left: ["left", "out"], participant_updated: ["updated", "same"],
  room_started: ["started", "in"], room_finished: ["finished", "out"], room_updated: ["updated", "same"], room_snapshot: ["written whole", "same"],
};

// A room's first commit is a snapshot, for readers that replay the feed. For people it means that the room has started.
const starts = ({ type, version, cause, data }) => type === "room_snapshot" && version === 1 && cause === "webhook" && Boolean(data);

// The participants that are present from the start.
function company({ participants = [] }) {
  if (!participants.length) return [];
  return [" with ", participants.length === 1 ? safe(participants[0].identity) : plural(participants.length, "participant")];
}

// Why a participant left, in LiveKit's words: CONNECTION_TIMEOUT is "connection timeout".
function leave({ disconnectReason }) {
  if (!disconnectReason || disconnectReason === "UNKNOWN_REASON") return [];
  return ` (${plain(disconnectReason.toLowerCase().replaceAll("_", " "))})`;
}

/** sentence says who did what; where is a node with the room's name, for lists of many rooms. */
export function sentence(change, where = null) {
  const started = starts(change);
  const [verb, way] = words[started ? "room_started" : change.type] ?? [plain(change.type), "same"];
  const sign = h("span", { class: "sign", "data-way": way, "aria-hidden": "true" }, { in: "+", out: "−", same: "~" }[way]);
  if (!change.type.startsWith("participant_")) return h("span", { class: "sentence" }, sign, where ?? "Room", ` ${verb}`, started ? company(change.data) : []);
  const place = where ? [{ in: " ", out: " ", same: " in " }[way], where] : [];
  return h("span", { class: "sentence" }, sign, safe(change.identity), ` ${verb}`, place, leave(change));
}

/** causeTag says why the change was made; repairs of a sync are highlighted. */
export function causeTag(change) {
  const cause = change.cause || "unknown";
  const text = change.reason ? `${plain(cause)}: ${plain(change.reason)}` : plain(cause);
  return h("span", { class: "tag", "data-level": cause === "webhook" ? "" : "warn" }, text);
}
