// A room's last changes, newest first, each with what caused it.

import { causeTag, sentence } from "./change.js";
import { when } from "./clock.js";
import { h, keyed, show } from "./dom.js";
import { createPanel, whyNot } from "./panel.js";
import { plain } from "./text.js";

function origin(entry) {
  return [entry.event && `event ${entry.event}`, `version ${entry.version}`, entry.owner && `by ${entry.owner}`, `epoch ${entry.epoch}`, entry.sid]
    .filter(Boolean).map(plain).join(" · ");
}

function row(entry) {
  return h("li", {}, when(entry.time, "clock"), h("div", {}, sentence(entry), h("span", { class: "below" }, origin(entry))), causeTag(entry));
}

/** createTimeline gives { panel, draw(resource) }. */
export function createTimeline() {
  const panel = createPanel("Timeline", "timeline");
  const list = h("ol", { class: "stream", "aria-label": "Changes of this room, newest first" });
  panel.body.append(list);
  return {
    panel,
    draw({ data, error }) {
      const entries = data?.entries ?? [];
      // Several entries of one commit share a version; the same sid may join and leave in it.
      keyed(list, entries, (e) => [e.gen, e.epoch, e.version, e.type, e.sid, e.identity].join("\u0001"), row);
      show(list, entries.length > 0);
      panel.note(error ? whyNot(error) : !data ? "Loading…" : entries.length ? "" : "Nothing is recorded of this room.");
    },
  };
}
