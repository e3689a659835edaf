// The buttons of the sync, and below them the running action or its result.

import { mayAct } from "./access.js";
import { createDialog } from "./dialog.js";
import { h, setAttribute, setIdle, setText, show } from "./dom.js";
import { count, duration, plural } from "./format.js";
import { createPlan } from "./plan.js";
import { plain, sentence } from "./text.js";

const buttons = [
  ["Sync now", { action: "sync" }, "Compare every room with LiveKit, now", "primary"],
  ["Dry run", { action: "sync", dryRun: true }, "List what a sync would change, and change nothing"],
  ["Full sync", { action: "full-sync" }, "A new sync, then a cleanup"],
  ["Cleanup", { action: "cleanup" }, "Remove what syncs leave behind"],
];

const roomButtons = [
  ["Sync this room", { action: "sync" }, "Compare this room with LiveKit, now", "primary"],
  ["Dry run", { action: "sync", dryRun: true }, "List what a sync would change in this room, and change nothing"],
];

export function createActionBox(app) {
  const held = h("p", { class: "held" });
  app.store.on(["status"], ({ status }) => {
    const now = status.data?.lastSync?.held;
    setText(held, now && (now.rooms || now.participants)
      ? `The breaker holds the removal of ${plural(now.rooms, "room")} and ${plural(now.participants, "participant")}.`
      : "The breaker holds nothing now: a plain sync does the same.");
  });
  app.askForce = createForceDialog(app, "Force a sync", () => ({}), [held]);
  return createBox(app, "Actions", buttons, () => ({}), app.askForce, () => true);
}

/** createRoomActions is the box of one room's view. room() returns the name of that room. */
export function createRoomActions(app, room) {
  const one = () => ({ room: room() });
  return createBox(app, "Actions on this room", roomButtons, one, createForceDialog(app, "Force a sync of this room", one, []),
    (action) => action?.order.room !== undefined && action.order.room === room());
}

// createBox adds also() to each order, and shows the actions for which shows(action) is true.
function createBox(app, label, list, also, askForce, shows) {
  const row = h("div", { class: "buttons", role: "group", "aria-label": label });
  for (const [text, order, title, className = ""] of list) {
    row.append(h("button", { type: "button", class: className, title, on: { click: () => app.actions.run({ ...order, ...also() }) } }, text));
  }
  row.append(h("button", { type: "button", class: "danger", title: "Do the removals that the breaker holds", on: { click: () => askForce() } }, "Force…"));
  app.store.on(["status"], (state) => show(row, mayAct(state)));
  app.store.on(["action"], ({ action }) => {
    for (const button of row.children) setIdle(button, Boolean(action?.running));
  });
  return h("div", { class: "actions" }, row, createRunning(app, shows), createResult(app, row.firstChild, shows));
}

function createRunning(app, shows) {
  const bar = h("progress", { "aria-label": "Progress" });
  const text = h("span", {});
  const far = h("span", { class: "far" });
  const box = h("div", { class: "running" }, h("div", { class: "running-text" }, text, far), bar);
  app.store.on(["action", "status", "second", "route"], ({ action, status }) => {
    if (!shows(action)) return show(box, false);
    const progress = status.data?.progress;
    // Scheduled cycles and those of other operators are shown too.
    const running = action?.running || Boolean(progress);
    show(box, running);
    setAttribute(text, "role", action?.running ? "status" : null); // otherwise every scheduled cycle would be read out
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

// The focus moves to next when the result is removed.
function createResult(app, next, shows) {
  const title = h("strong", {});
  const text = h("p", {});
  const error = h("p", { class: "first-error" });
  const plan = h("div", {});
  const dismiss = h("button", { type: "button", class: "quiet small", on: { click: () => { app.actions.dismiss(); next.focus(); } } }, "Dismiss");
  const said = h("div", { role: "status" }, title, text, error);
  const box = h("div", { class: "result" }, h("div", { class: "result-head" }, said, dismiss), plan);
  let drawn = null;
  app.store.on(["action", "route"], ({ action }) => {
    const ended = Boolean(action) && !action.running && shows(action);
    show(box, ended);
    if (!ended || action === drawn) return;
    drawn = action;
    const { answer } = action;
    const failed = action.error || answer?.fault ? "failed" : answer?.firstError || (answer?.result ?? answer?.sync)?.errors > 0 ? "incomplete" : "";
    box.dataset.level = failed ? "bad" : "ok";
    setText(title, `${action.name} ${failed || "done"}`);
    setText(text, action.error ? sentence(action.error.message) : action.text);
    setText(error, action.answer?.firstError ? `First error: ${plain(action.answer.firstError)}` : "");
    show(error, error.textContent !== "");
    plan.replaceChildren(...(action.answer?.wouldChange ? [createPlan(action.answer.wouldChange)] : []));
  });
  return box;
}

function createForceDialog(app, title, also, first) {
  const dialog = createDialog(title, (close) => [
    ...first,
    h("p", {}, "A forced sync removes from Redis what LiveKit does not show, even if that is nearly everything. If LiveKit is down, restarted or empty by mistake, people who are in a room will be missing until it shows them again."),
    h("div", { class: "buttons end" },
      h("button", { type: "button", on: { click: close } }, "Cancel"),
      h("button", { type: "button", on: { click: () => { close(); app.actions.run({ action: "sync", dryRun: true, force: true, ...also() }); } } }, "Show what would be removed"),
      h("button", { type: "button", class: "danger filled", on: { click: () => { close(); app.actions.run({ action: "sync", force: true, ...also() }); } } }, "Force the sync")),
  ]);
  return () => { if (!app.store.state.action?.running) dialog.open(); };
}
