// Drift: everything that a sync had to repair, by reason, and the individual repairs.

import { when } from "./clock.js";
import { h, keyed, setAttribute, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { createPanel, follow } from "./panel.js";
import { roomLink } from "./router.js";
import { plain, safe } from "./text.js";

// What each reason means and what to check.
const meanings = {
  "missed join": "A participant was present, and no webhook had reported it.",
  "missed leave": "A participant had left, and no webhook had reported it.",
  "ghost": "A participant of a room that no longer existed.",
  "stale metadata": "Name, metadata or attributes had changed; LiveKit sends no webhook for that.",
  "unseen room": "A room was live, and no webhook had reported it.",
  "unseen finish": "A room had ended, and no webhook had reported it.",
  "lost write": "Redis had lost what was written: a restart or failover without its last writes.",
  "foreign change": "Somebody else wrote to rollcall's keys.",
};

function reasons() {
  const body = h("tbody", {});
  return {
    element: h("table", { class: "reasons" }, h("caption", { class: "unseen" }, "Repairs by reason"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Reason"), h("th", { scope: "col" }, "What it means"), h("th", { scope: "col", class: "number" }, "Repairs"))), body),
    draw(totals) {
      const all = Object.keys(meanings).concat(Object.keys(totals).filter((reason) => !(reason in meanings)));
      const most = Math.max(1, ...Object.values(totals));
      keyed(body, all, (reason) => reason, (reason) => h("tr", {}, h("th", { scope: "row" }, plain(reason)), h("td", {}, meanings[reason] ?? ""),
        h("td", { class: "number" }, h("span", {}), h("meter", { min: 0, "aria-label": `Repairs: ${plain(reason)}` }))), (row, reason) => {
        const [number, bar] = row.lastChild.children;
        setText(number, count(totals[reason] ?? 0));
        setAttribute(bar, "max", most);
        setAttribute(bar, "value", totals[reason] ?? 0);
        row.dataset.empty = totals[reason] ? "no" : "yes";
      });
    },
  };
}

function entryRow(entry) {
  return h("tr", {}, h("td", {}, when(entry.time)), h("td", {}, h("a", { href: roomLink(entry.room) }, safe(entry.room))),
    h("td", {}, entry.identity ? safe(entry.identity) : "the room itself"), h("td", {}, plain(entry.reason)), h("td", {}, plain(entry.node)));
}

export function createDriftView(app) {
  const totals = createPanel("By reason");
  const table = reasons();
  totals.body.append(table.element);
  const single = createPanel("Latest repairs", "repairs");
  const body = h("tbody", {});
  const head = ["When", "Room", "Who", "Reason", "Node"].map((text) => h("th", { scope: "col" }, text));
  const scroll = h("div", { class: "scroll wide", tabindex: "0", role: "region", "aria-label": "Latest repairs" },
    h("table", {}, h("thead", {}, h("tr", {}, head)), body));
  const none = h("p", { class: "note" }, "No sync has had to repair anything: every webhook arrived, and nobody else wrote.");
  single.body.append(scroll, none);
  follow(app, "drift", totals, (drift) => table.draw(drift.totals ?? {}));
  follow(app, "drift", single, (drift) => {
    const entries = drift.entries ?? [];
    scroll.hidden = !entries.length;
    none.hidden = entries.length > 0;
    setText(single.aside.firstChild, "");
    keyed(body, entries, (e) => [e.time, e.room, e.sid, e.identity, e.reason].join("\u0001"), entryRow);
    single.element.setAttribute("data-count", plural(entries.length, "repair"));
  });
  return {
    element: h("div", { class: "view drift" },
      h("div", { class: "view-head" }, h("div", {}, h("h1", { tabindex: "-1" }, "Drift"),
        h("p", { class: "lead" }, "What a sync found wrong and repaired. A few are normal, because LiveKit does not report everything; many mean that webhooks do not arrive."))),
      totals.element, single.element),
    enter() { app.live.resources.drift.refresh(); },
  };
}
