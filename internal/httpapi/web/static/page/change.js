// A change in words.

import { h } from "./dom.js";
import { plural } from "./format.js";
import { plain, safe } from "./text.js";

const words = {
  participant_joined: ["joined", "in"], participant_left: ["left", "out"], participant_updated: ["changed", "same"],
  room_started: ["began", "in"], room_finished: ["ended", "out"], room_updated: ["changed", "same"], room_snapshot: ["written whole", "same"],
};

// A room's first commit is told as a snapshot, for those who fold the feed. For people the room begins.
const begins = ({ type, version, cause, data }) => type === "room_snapshot" && version === 1 && cause === "webhook" && Boolean(data);

// Who is there from the beginning.
function company({ participants = [] }) {
  if (!participants.length) return [];
  return [" with ", participants.length === 1 ? safe(participants[0].identity) : plural(participants.length, "participant")];
}

// Why somebody left, in LiveKit's words: CONNECTION_TIMEOUT is "connection timeout".
function leave({ disconnectReason }) {
  if (!disconnectReason || disconnectReason === "UNKNOWN_REASON") return [];
  return ` (${plain(disconnectReason.toLowerCase().replaceAll("_", " "))})`;
}

/** sentence tells who did what; where names the room as a node, for lists of many rooms. */
export function sentence(change, where = null) {
  const began = begins(change);
  const [verb, way] = words[began ? "room_started" : change.type] ?? [plain(change.type), "same"];
  const sign = h("span", { class: "sign", "data-way": way, "aria-hidden": "true" }, { in: "+", out: "−", same: "~" }[way]);
  if (!change.type.startsWith("participant_")) return h("span", { class: "sentence" }, sign, where ?? "Room", ` ${verb}`, began ? company(change.data) : []);
  const place = where ? [{ in: " ", out: " ", same: " in " }[way], where] : [];
  return h("span", { class: "sentence" }, sign, safe(change.identity), ` ${verb}`, place, leave(change));
}

/** causeTag says why the change was made; what a sync had to repair stands out. */
export function causeTag(change) {
  const cause = change.cause || "unknown";
  const text = change.reason ? `${plain(cause)}: ${plain(change.reason)}` : plain(cause);
  return h("span", { class: "tag", "data-level": cause === "webhook" ? "" : "warn" }, text);
}
