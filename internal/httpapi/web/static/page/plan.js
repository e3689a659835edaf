// The result of a dry run: a list that may be long; its first part is shown, and all of it can be copied.

import { h } from "./dom.js";
import { count, plural } from "./format.js";
import { roomLink } from "./router.js";
import { plain, safe } from "./text.js";

const shown = 200;

const words = {
  participant_joined: "would join", participant_left: "would leave", participant_updated: "would be updated", room_started: "would start",
  room_updated: "would be updated", room_finished: "would be removed", room_snapshot: "would be rewritten", index_entry_removed: "index entry would be removed",
};

export function createPlan(list) {
  if (!list.length) return h("p", { class: "note" }, "Nothing would change.");
  const rows = list.slice(0, shown).map((change) => h("tr", {},
    h("td", {}, h("a", { href: roomLink(change.room) }, safe(change.room))),
    h("td", {}, change.identity ? [safe(change.identity), " "] : null, words[change.change] ?? plain(change.change)),
    h("td", {}, plain(change.reason))));
  const more = list.length > shown ? h("p", { class: "note" }, `The first ${count(shown)} of ${plural(list.length, "change")} are shown.`) : null;
  return h("div", { class: "plan" },
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What would change" },
      h("table", {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Room"), h("th", { scope: "col" }, "Change"), h("th", { scope: "col" }, "Why"))),
        h("tbody", {}, rows))),
    more, copyButton(list));
}

function copyButton(list) {
  const button = h("button", { type: "button", class: "small", on: { click: copy } }, "Copy all as JSON");
  async function copy() {
    try {
      await navigator.clipboard.writeText(JSON.stringify(list, null, 1));
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser does not allow it";
    }
  }
  return button;
}
