// The sync: its state, the result of the last one, and the buttons.

import { mayAct } from "./access.js";
import { createActionBox } from "./action-box.js";
import { setWhen, when } from "./clock.js";
import { createDialog } from "./dialog.js";
import { h, keyed, setIdle, setText, show } from "./dom.js";
import { clockTime, count, duration, moment } from "./format.js";
import { faultText } from "./health.js";
import { createPanel, follow } from "./panel.js";
import { plain } from "./text.js";

// A fact is a label over its value; set takes a text, or keeps a child that updates itself.
function fact(label, value = h("span", {})) {
  const below = h("span", { class: "below" });
  const element = h("div", { class: "fact" }, h("dt", {}, label), h("dd", {}, value, below));
  return {
    element, value,
    set(text, more = "", level = "") {
      if (text !== null) setText(value, text);
      setText(below, more);
      element.dataset.level = level;
    },
  };
}

function createFacts() {
  const last = fact("Last sync", when(NaN));
  const next = fact("Next sync", when(NaN));
  const rooms = fact("Rooms compared");
  const repaired = fact("Repaired");
  const removed = fact("Rooms removed");
  const errors = fact("Errors");
  const cleanup = fact("Last cleanup", when(NaN));
  const nextCleanup = fact("Next cleanup", when(NaN));
  const all = [last, next, rooms, repaired, removed, errors, cleanup, nextCleanup];

  function draw(status) {
    const report = status.lastSync;
    const drift = Object.values(report?.drift ?? {}).reduce((sum, n) => sum + n, 0);
    setWhen(last.value, moment(report?.startedAt));
    const good = report?.result?.errors && status.lastGoodSync ? `; the last good one began at ${clockTime(moment(status.lastGoodSync))}` : "";
    last.set(null, report ? `took ${duration(report.durationMs)}${report.scheduled ? "" : ", by hand"}${good}` : "none yet");
    setWhen(next.value, status.syncServiceRunning ? moment(status.nextSync) : NaN);
    next.set(null, status.syncServiceRunning ? `every ${duration(status.syncInterval)}` : "stopped");
    const fault = faultText(report?.fault);
    rooms.set(fault ? "None" : count(report?.result?.synced), fault || (report ? report.changed ? `${count(report.changed)} differed` : report.result?.errors ? "the next sync compares the rest" : "all matched" : ""), fault ? "bad" : "");
    repaired.set(report && !fault ? count(drift) : "–", fault ? "" : report?.deferred ? `${count(report.deferred)} deferred to the next sync` : report && !drift ? "nothing to do" : "", drift ? "warn" : "");
    removed.set(count(report?.result?.cleaned));
    if (fault) errors.set("–");
    else errors.set(count(report?.result?.errors), report?.result?.errors ? "" : report ? "none" : "", report?.result?.errors ? "bad" : "");
    setWhen(cleanup.value, moment(status.lastCleanup?.startedAt));
    cleanup.set(null, status.lastCleanup ? `${count(status.lastCleanup.result.cleaned)} removed` : "none yet");
    setWhen(nextCleanup.value, status.syncServiceRunning ? moment(status.nextCleanup) : NaN);
    nextCleanup.set(null, status.syncServiceRunning ? `every ${duration(status.cleanupInterval)}` : "stopped");
  }
  return { element: h("dl", { class: "facts" }, all.map((f) => f.element)), draw };
}

function createReasons() {
  const list = h("ul", { class: "chips", "aria-label": "Repaired in the last sync, by reason" });
  return {
    element: list,
    draw(drift) {
      const reasons = Object.entries(drift ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
      show(list, reasons.length > 0);
      keyed(list, reasons, ([reason]) => reason, ([reason]) => h("li", {}, h("b", {}), ` ${plain(reason)}`),
        (node, [, n]) => setText(node.firstChild, count(n)));
    },
  };
}

function createStopDialog(app) {
  const dialog = createDialog("Stop the schedule", (close) => [
    h("p", {}, "No node syncs or cleans up until somebody starts the schedule again; a restart does not start it. Nothing changes for webhooks, but what they miss is not repaired."),
    h("div", { class: "buttons end" },
      h("button", { type: "button", on: { click: close } }, "Cancel"),
      h("button", { type: "button", class: "danger filled", on: { click: () => { close(); app.actions.run({ action: "stop-service" }); } } }, "Stop it")),
  ]);
  return () => { if (!app.store.state.action?.running) dialog.open(); };
}

export function createSyncPanel(app) {
  const panel = createPanel("Sync", "sync");
  const state = h("span", { class: "tag" });
  const toggle = h("button", { type: "button", class: "small", on: { click: switchService } });
  panel.aside.append(state, toggle);
  const facts = createFacts();
  const reasons = createReasons();
  panel.body.append(facts.element, reasons.element);
  panel.element.append(createActionBox(app));

  const askStop = createStopDialog(app);
  function switchService() {
    if (app.store.state.status.data?.syncServiceRunning) askStop();
    else app.actions.run({ action: "start-service" });
  }
  show(state, false);
  follow(app, "status", panel, (status) => {
    const running = status.syncServiceRunning;
    show(state, true);
    setText(state, running ? "Schedule running" : "Schedule stopped");
    state.dataset.level = running ? "ok" : "warn";
    setText(toggle, running ? "Stop" : "Start");
    toggle.setAttribute("aria-label", running ? "Stop the schedule" : "Start the schedule");
    facts.draw(status);
    reasons.draw(status.lastSync?.drift);
  });
  app.store.on(["status"], (all) => show(toggle, mayAct(all)));
  app.store.on(["action"], ({ action }) => { setIdle(toggle, Boolean(action?.running)); });
  return panel.element;
}
