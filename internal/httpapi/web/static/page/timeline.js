// A room's last changes, newest first, each with its cause. The first ones are shown; the others, and the ids, on demand.

import { causeTag, sentence } from "./change.js";
import { when } from "./clock.js";
import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { count } from "./format.js";
import { createPanel, whyNot } from "./panel.js";
import { plain } from "./text.js";

const first = 20;

function origin(entry) {
  return [entry.event && `event ${entry.event}`, `version ${entry.version}`, entry.owner && `by ${entry.owner}`, `epoch ${entry.epoch}`, entry.sid]
    .filter(Boolean).map(plain).join(" · ");
}

function row(entry) {
  return h("li", {}, when(entry.time, "clock"), h("div", {}, sentence(entry), h("span", { class: "below" }, origin(entry))), causeTag(entry));
}

/** createTimeline returns { panel, draw(resource), fold() }. */
export function createTimeline() {
  const panel = createPanel("Timeline", "timeline");
  const list = h("ol", { class: "stream", "aria-label": "Changes of this room, newest first" });
  const ids = h("button", { type: "button", class: "small", "aria-pressed": "false", on: { click: () => setAttribute(ids, "aria-pressed", String(list.toggleAttribute("data-ids"))) } }, "Show ids");
  const more = h("button", { type: "button", class: "small more", on: { click: () => { all = !all; drawList(); } } });
  panel.aside.append(ids);
  panel.body.append(list, more);
  let all = false;
  let entries = [];
  function drawList() {
    // Several entries of one commit share a version; the same sid may join and leave in it.
    keyed(list, all ? entries : entries.slice(0, first), (e) => [e.gen, e.epoch, e.version, e.type, e.sid, e.identity].join("\u0001"), row);
    show(list, entries.length > 0);
    show(ids, entries.length > 0);
    show(more, entries.length > first);
    setText(more, all ? `Show the last ${first}` : `Show all ${count(entries.length)}`);
    setAttribute(more, "aria-expanded", String(all));
  }
  return {
    panel,
    /** fold is for another room. */
    fold() { all = false; },
    draw({ data, error }) {
      entries = data?.entries ?? [];
      drawList();
      panel.note(error ? whyNot(error) : !data ? "Loading…" : entries.length ? "" : "Nothing is recorded about this room.");
    },
  };
}
