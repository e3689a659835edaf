// The node's time: the browser's clock may be minutes off, and "12 s ago" must be true nevertheless.

import { h, setAttribute, setText } from "./dom.js";
import { clockTime, fullTime, relative } from "./format.js";

let ahead = 0;

/** learn takes a timestamp from a fresh answer of the node. A difference below a second is network delay, not the clock. */
export function learn(timestamp) {
  const at = Date.parse(timestamp ?? "");
  if (Number.isNaN(at)) return;
  const difference = at - Date.now();
  ahead = Math.abs(difference) < 1000 ? 0 : difference;
}

export function now() {
  return Date.now() + ahead;
}

/** when makes an element with a time that stays current while it is in the page. mode: relative, or clock. */
export function when(at, mode = "relative") {
  const node = h("time", { "data-mode": mode });
  setWhen(node, at);
  return node;
}

/** setWhen sets the time of an element of when(); without a time it shows a dash. */
export function setWhen(node, at) {
  if (!Number.isFinite(at) || at <= 0) {
    node.removeAttribute("datetime");
    node.removeAttribute("title");
    delete node.dataset.at;
    setText(node, "–");
    return;
  }
  node.dataset.at = at;
  setAttribute(node, "datetime", new Date(at).toISOString());
  setAttribute(node, "title", fullTime(at));
  refresh(node);
}

function refresh(node) {
  const at = Number(node.dataset.at);
  setText(node, node.dataset.mode === "clock" ? clockTime(at, { millis: true }) : relative(at, now()));
}

/** tick updates every relative time. */
export function tick() {
  for (const node of document.querySelectorAll("time[data-at][data-mode=relative]")) refresh(node);
}
