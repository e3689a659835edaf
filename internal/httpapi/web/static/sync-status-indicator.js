// <sync-status-indicator>: the state of rollcall's schedule of syncs, and its buttons, for any web app.
// sync-status-indicator.d.ts has the types, docs/page.md shows it in plain HTML, React and Vue.

import { createClient } from "./rollcall-client.js";

const css = `
:host {
  color-scheme: light dark;
  --accent: var(--rollcall-accent, light-dark(#0a6e4f, #58d3a2));
  --fill: var(--rollcall-fill, light-dark(#0b7a57, #2fae7f));
  --on-fill: var(--rollcall-on-fill, light-dark(#fff, #06130d));
  --ink: var(--rollcall-ink, light-dark(#171a18, #e9ece9));
  --soft: var(--rollcall-soft, light-dark(#565b57, #a3aca6));
  --surface: var(--rollcall-surface, light-dark(#fff, #161a18));
  --line: var(--rollcall-line, light-dark(#8a8e88, #6c756f));
  --bad: var(--rollcall-bad, light-dark(#b3261e, #ff9c92));
  --warn: var(--rollcall-warn, light-dark(#875300, #f0bd5f));
  display: inline-block; max-width: 100%; font: 14px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; color: var(--ink);
}
:host([hidden]) { display: none; }
.box { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; padding: 10px 14px; border: 1px solid var(--line); border-radius: 10px; background: var(--surface); }
.text { flex: 1 1 180px; min-width: 0; overflow-wrap: anywhere; }
.state { display: flex; align-items: center; gap: 8px; font-weight: 600; }
.state::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--line); flex: none; }
[data-state=running] .state::before { background: var(--fill); }
[data-state=stopped] .state::before { background: var(--warn); }
[data-state=error] .state::before { background: var(--bad); border-radius: 1px; }
.last, .said { color: var(--soft); font-size: 13px; }
.last[data-bad], .said[data-bad] { color: var(--bad); }
.buttons { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; }
button { font: inherit; font-size: 13px; font-weight: 560; color: inherit; min-height: 32px; padding: 3px 12px; border: 1px solid var(--line); border-radius: 8px; background: transparent; cursor: pointer; }
button[aria-disabled=true] { opacity: .5; cursor: default; }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.primary { background: var(--fill); border-color: var(--fill); color: var(--on-fill); }
[hidden] { display: none !important; }
`;

const defaultInterval = 10_000;
const slowest = 60_000;

function element(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

const rooms = (n) => `${n} ${n === 1 ? "room" : "rooms"}`;

const liveKitFaults = { livekit_refuses: "refused the API key", livekit_limited: "allowed no more requests" };

function faultText(fault) {
  return fault.startsWith("redis") ? "Redis did not answer" : `LiveKit ${liveKitFaults[fault] ?? "did not answer"}; nothing was removed`;
}

// Describes the last sync in a line. Ages are by the node's clock.
function lastText(status) {
  const report = status.lastSync;
  if (!report) return "No sync has ended yet";
  const { synced, errors, cleaned } = report.result;
  const age = span(Date.parse(status.timestamp) - Date.parse(report.startedAt));
  if (report.fault) return `Last sync ${age} ago: ${faultText(report.fault)}`;
  const held = report.held?.rooms || report.held?.participants ? ", removals held" : "";
  return `Last sync ${age} ago: ${rooms(synced)} compared, ${errors} ${errors === 1 ? "error" : "errors"}, ${cleaned} removed${held}`;
}

function actionText(answer) {
  if (answer.running !== undefined) return answer.running ? "Schedule started" : "Schedule stopped";
  if (answer.fault) return `Failed: ${faultText(answer.fault)}`;
  if (answer.cleaned !== undefined) return `Cleanup ${answer.firstError ? "incomplete" : "done"}: ${answer.cleaned} removed`;
  const { synced, errors, cleaned } = answer.result;
  return `Sync ${errors > 0 || answer.firstError ? "incomplete" : "done"}: ${rooms(synced)} compared, ${errors} ${errors === 1 ? "error" : "errors"}, ${cleaned} removed`;
}

// A server that renders a page may import this module too: it has no elements.
export class SyncStatusIndicator extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ["endpoint", "token", "interval", "readonly"];

  #status = null;
  #acting = false;
  #denied = false; // the node refused the token, or wants one
  #askingStop = false;
  #failures = 0;
  #timer = 0;
  #abort = null;
  #parts;
  #onVisible = () => { if (!document.hidden) this.refresh(); };

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    const button = (text, className, run) => {
      const node = element("button", { type: "button", class: className, part: "button" }, text);
      // A disabled button would lose the focus, and keyboard users their place.
      node.addEventListener("click", () => { if (node.getAttribute("aria-disabled") !== "true") run(); });
      return node;
    };
    const state = element("span", { class: "state", part: "state", role: "status" });
    // Its age changes with each poll and is not read out; the result of an action is.
    const last = element("span", { class: "last", part: "last" });
    const said = element("span", { class: "said", part: "last", role: "status" });
    const sync = button("Sync now", "primary", () => this.sync());
    const cleanup = button("Cleanup", "", () => this.cleanup());
    const toggle = button("Stop", "", () => this.#toggle());
    const stop = button("Stop it", "", () => this.#answerStop(true));
    const keep = button("Cancel", "", () => this.#answerStop(false));
    const ask = element("span", { class: "buttons", role: "group", "aria-label": "Stop the schedule" }, "Stop the schedule of the whole cluster?", keep, stop);
    const buttons = element("span", { class: "buttons", role: "group", "aria-label": "Sync actions" }, sync, cleanup, toggle);
    const box = element("div", { class: "box", part: "box", "data-state": "unknown" }, element("span", { class: "text" }, state, last, said), buttons, ask);
    root.append(box);
    this.#parts = { box, state, last, said, sync, cleanup, toggle, stop, keep, buttons, ask };
  }

  connectedCallback() {
    for (const name of ["endpoint", "token"]) this.#upgrade(name);
    document.addEventListener("visibilitychange", this.#onVisible);
    this.#restart();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#onVisible);
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  attributeChangedCallback(name, before, after) {
    if (before !== after && this.isConnected) this.#restart();
  }

  // A framework may have set a property before this class was defined.
  #upgrade(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    this[name] = value;
  }

  get endpoint() { return this.getAttribute("endpoint") ?? ""; }
  set endpoint(value) { this.setAttribute("endpoint", value ?? ""); }
  get token() { return this.getAttribute("token") ?? ""; }
  set token(value) { this.setAttribute("token", value ?? ""); }
  get interval() { return Math.max(1000, Number(this.getAttribute("interval")) || defaultInterval); }
  set interval(value) { this.setAttribute("interval", value); }
  get readonly() { return this.hasAttribute("readonly"); }
  set readonly(value) { this.toggleAttribute("readonly", Boolean(value)); }
  /** The last status that the node reported, or null. */
  get status() { return this.#status; }

  sync() { return this.#act("sync"); }
  cleanup() { return this.#act("cleanup"); }
  startService() { return this.#act("start-service"); }
  stopService() { return this.#act("stop-service"); }

  #toggle() {
    if (!this.#status?.syncServiceRunning) return this.startService();
    this.#askingStop = true;
    this.#drawButtons();
    this.#parts.keep.focus();
    return undefined;
  }

  #answerStop(yes) {
    this.#askingStop = false;
    this.#drawButtons();
    this.#parts.toggle.focus();
    if (yes) this.stopService();
  }

  // A framework sets attributes one by one: they are all applied together, once.
  #restart() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#status = null;
    this.#failures = 0;
    this.#askingStop = false;
    this.#draw("unknown", "Asking…", "");
    this.#timer = setTimeout(() => this.refresh(), 0);
  }

  #client() { return createClient({ endpoint: this.endpoint, token: this.token }); }

  /** Asks the node now. It never rejects: an error is shown, and reported by rollcall-status. */
  async refresh() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    try {
      const status = await this.#client().status({ signal: abort.signal });
      if (abort.signal.aborted) return;
      this.#failures = 0;
      this.#denied = false;
      this.#status = status;
      const running = status.syncServiceRunning;
      this.#draw(running ? "running" : "stopped", running ? "Schedule is running" : "Schedule is stopped", lastText(status), status.lastSync?.result.errors > 0);
      this.#tell("rollcall-status", { state: running ? "running" : "stopped", status });
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failures += 1;
      this.#denied = error.status === 401 || error.status === 403;
      const text = error.status === 401 ? (this.token ? "The token is not accepted" : "A token is needed") : error.message;
      this.#draw("error", text, this.#status ? `Last known: ${this.#status.syncServiceRunning ? "running" : "stopped"}` : "");
      this.#tell("rollcall-status", { state: "error", error });
    }
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (!this.isConnected || document.hidden) return;
    const pause = Math.min(Math.max(slowest, this.interval), this.interval * 2 ** Math.min(this.#failures, 6));
    this.#timer = setTimeout(() => this.refresh(), pause);
  }

  async #act(action) {
    if (this.#acting) return undefined;
    this.#acting = true;
    this.#say(`${{ sync: "Syncing", cleanup: "Cleaning up", "start-service": "Starting", "stop-service": "Stopping" }[action]}…`);
    this.#tell("rollcall-action", { action, phase: "started" });
    let said = "";
    let failed = false;
    try {
      const answer = await this.#client().act(action);
      said = actionText(answer);
      failed = Boolean(answer.fault || answer.firstError) || answer.result?.errors > 0;
      this.#tell("rollcall-action", { action, phase: "done", answer });
      return answer;
    } catch (error) {
      said = error.message;
      failed = true;
      this.#tell("rollcall-action", { action, phase: "failed", error });
      return undefined;
    } finally {
      await this.refresh();
      this.#acting = false;
      this.#say(said, failed);
    }
  }

  // The state or result of an action replaces the last sync, until the next poll.
  #say(text, bad = false) {
    const { last, said } = this.#parts;
    said.textContent = text;
    said.toggleAttribute("data-bad", bad);
    last.hidden = text !== "";
    this.#drawButtons();
  }

  #draw(state, title, last, bad = false) {
    const p = this.#parts;
    p.box.dataset.state = state;
    if (p.state.textContent !== title) p.state.textContent = title;
    if (p.last.textContent !== last) p.last.textContent = last;
    p.last.toggleAttribute("data-bad", bad);
    p.toggle.textContent = state === "stopped" ? "Start" : "Stop";
    p.toggle.setAttribute("aria-label", `${p.toggle.textContent} the schedule of syncs`);
    if (this.#acting) this.#drawButtons();
    else this.#say("");
  }

  #drawButtons() {
    const p = this.#parts;
    // What the node would refuse is not offered. An older node does not say whether it would.
    const offered = !this.readonly && !this.#denied && this.#status !== null && this.#status.mayAct !== false;
    this.#askingStop &&= offered && this.#status.syncServiceRunning;
    p.buttons.hidden = !offered || this.#askingStop;
    p.ask.hidden = !this.#askingStop;
    for (const button of [p.sync, p.cleanup, p.toggle]) button.setAttribute("aria-disabled", this.#acting);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

if (globalThis.customElements && !customElements.get("sync-status-indicator")) customElements.define("sync-status-indicator", SyncStatusIndicator);
