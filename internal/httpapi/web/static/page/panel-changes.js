// Shows changes as they happen, until somebody pauses the list.

import { isDenied } from "./access.js";
import { causeTag, sentence } from "./change.js";
import { when } from "./clock.js";
import { h, keyed, setText, show } from "./dom.js";
import { plural } from "./format.js";
import { createPanel, whyNot } from "./panel.js";
import { roomLink } from "./router.js";
import { safe } from "./text.js";

const shown = 40;

function row(change) {
  const where = h("a", { href: roomLink(change.room) }, safe(change.room));
  return h("li", {}, when(change.time, "clock"), sentence(change, where), causeTag(change));
}

export function createChanges(app) {
  const panel = createPanel("Changes", "changes");
  let paused = null;
  const pause = h("button", { type: "button", class: "small", on: { click: toggle } }, "Pause");
  panel.aside.append(pause);
  const list = h("ol", { class: "stream", "aria-label": "Changes, newest first" });
  panel.body.append(list);

  function toggle() {
    paused = paused ? null : [...app.store.state.changes];
    draw(app.store.state);
  }
  function draw({ changes, conn, route, status }) {
    if (route && route.view !== "overview") return;
    const seen = paused ?? changes;
    keyed(list, seen.slice(0, shown), (change) => change.seen, row);
    const waiting = paused ? (changes[0]?.seen ?? 0) - (paused[0]?.seen ?? 0) : 0;
    setText(pause, paused ? (waiting ? `Go on (${waiting})` : "Go on") : "Pause");
    pause.setAttribute("aria-label", paused ? `Go on; ${plural(waiting, "change")} waiting` : "Pause the list of changes");
    const quiet = conn.state === "live" ? "Nothing has changed since this page was opened." : "Changes appear here while the page is connected.";
    const denied = isDenied(status.error);
    show(pause, !denied || seen.length > 0);
    panel.note(seen.length ? "" : denied ? whyNot(status.error) : quiet);
  }
  app.store.on(["changes", "conn", "route", "status"], draw);
  return panel.element;
}
