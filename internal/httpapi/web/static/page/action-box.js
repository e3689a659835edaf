// The buttons of the sync, and below them what runs or what came of it.

import { createDialog } from "./dialog.js";
import { h, setAttribute, setIdle, setText, show } from "./dom.js";
import { count, duration, plural } from "./format.js";
import { createPlan } from "./plan.js";
import { plain } from "./text.js";

const buttons = [
  ["Sync now", { action: "sync" }, "Compare every room with LiveKit, now", "primary"],
  ["Dry run", { action: "sync", dryRun: true }, "List what a sync would change, and change nothing"],
  ["Full sync", { action: "full-sync" }, "A new sync, then a cleanup"],
  ["Cleanup", { action: "cleanup" }, "Remove what syncs leave behind"],
];

export function createActionBox(app) {
  const row = h("div", { class: "buttons", role: "group", "aria-label": "Actions" });
  for (const [text, order, title, className = ""] of buttons) {
    row.append(h("button", { type: "button", class: className, title, on: { click: () => app.actions.run(order) } }, text));
  }
  app.askForce = createForceDialog(app);
  row.append(h("button", { type: "button", class: "danger", title: "Let removals go that the breaker holds", on: { click: () => app.askForce() } }, "Force…"));
  app.store.on(["action"], ({ action }) => {
    for (const button of row.children) setIdle(button, Boolean(action?.running));
  });
  return h("div", { class: "actions" }, row, createRunning(app), createResult(app, row.firstChild));
}

function createRunning(app) {
  const bar = h("progress", { "aria-label": "Progress" });
  const text = h("span", {});
  const far = h("span", { class: "far" });
  const box = h("div", { class: "running" }, h("div", { class: "running-text" }, text, far), bar);
  app.store.on(["action", "status", "second"], ({ action, status }) => {
    const progress = status.data?.progress;
    // Cycles of the schedule and of others are shown too.
    const running = action?.running || Boolean(progress);
    show(box, running);
    setAttribute(text, "role", action?.running ? "status" : null); // the schedule's cycles would be read out for ever
    if (!running) return;
    setText(text, action?.running ? `${action.name} is running` : `A ${plain(progress.kind)} is running`);
    const known = progress && progress.of > 0;
    setText(far, known ? `${count(progress.done)} of ${plural(progress.of, "room")}` : action?.running ? duration(Date.now() - action.startedAt) : "");
    if (known) {
      bar.max = progress.of;
      bar.value = progress.done;
    } else {
      bar.removeAttribute("value");
    }
    setAttribute(bar, "aria-label", text.textContent);
  });
  return box;
}

// The focus goes to next when the result goes.
function createResult(app, next) {
  const title = h("strong", {});
  const text = h("p", {});
  const error = h("p", { class: "first-error" });
  const plan = h("div", {});
  const dismiss = h("button", { type: "button", class: "quiet small", on: { click: () => { app.actions.dismiss(); next.focus(); } } }, "Dismiss");
  const said = h("div", { role: "status" }, title, text, error);
  const box = h("div", { class: "result" }, h("div", { class: "result-head" }, said, dismiss), plan);
  let drawn = null;
  app.store.on(["action"], ({ action }) => {
    const ended = Boolean(action) && !action.running;
    show(box, ended);
    if (!ended || action === drawn) return;
    drawn = action;
    const failed = Boolean(action.error) || (action.answer?.result ?? action.answer?.sync)?.errors > 0;
    box.dataset.level = failed ? "bad" : "ok";
    setText(title, `${action.name} ${action.error ? "failed" : "done"}`);
    setText(text, action.error ? `${plain(action.error.message)}.` : action.text);
    setText(error, action.answer?.firstError ? `First error: ${plain(action.answer.firstError)}` : "");
    show(error, error.textContent !== "");
    plan.replaceChildren(...(action.answer?.wouldChange ? [createPlan(action.answer.wouldChange)] : []));
  });
  return box;
}

function createForceDialog(app) {
  const held = h("p", { class: "held" });
  const dialog = createDialog("Force a sync", (close) => [
    held,
    h("p", {}, "A forced sync removes from Redis what LiveKit does not show, even if that is nearly everything. If LiveKit is down, restarted or empty by mistake, people who are in a room will be missing until it shows them again."),
    h("div", { class: "buttons end" },
      h("button", { type: "button", on: { click: close } }, "Cancel"),
      h("button", { type: "button", on: { click: () => { close(); app.actions.run({ action: "sync", dryRun: true, force: true }); } } }, "Show what would go"),
      h("button", { type: "button", class: "danger filled", on: { click: () => { close(); app.actions.run({ action: "sync", force: true }); } } }, "Force the sync")),
  ]);
  app.store.on(["status"], ({ status }) => {
    const now = status.data?.lastSync?.held;
    setText(held, now && (now.rooms || now.participants)
      ? `The breaker holds the removal of ${plural(now.rooms, "room")} and ${plural(now.participants, "participant")}.`
      : "The breaker holds nothing now: a plain sync does the same.");
  });
  return () => { if (!app.store.state.action?.running) dialog.open(); };
}
