// Three charts of the last half hour: what comes in, what was missed, and how long it took to be right.

import { createChart } from "./chart.js";
import { h, setText } from "./dom.js";
import { count, duration, plural, rate } from "./format.js";
import { createPanel, follow } from "./panel.js";
import { plain } from "./text.js";

// A node that has just started has few points: they stand at the right, and the half hour before is empty.
function wholeSpan(points, intervalMs) {
  const missing = Math.max(0, Math.round(1_800_000 / intervalMs) - points.length);
  const first = points[0]?.time ?? 0;
  if (!points.length) return [];
  return [...Array.from({ length: missing }, (_, i) => ({ time: first - (missing - i) * intervalMs, value: null })), ...points];
}

const values = (points) => points.map((p) => p.value).filter((v) => v !== null);

function median(list) {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : NaN;
}

export function createCharts(app) {
  const panel = createPanel("The last half hour", "charts");
  const node = h("span", { class: "aside-text" });
  panel.aside.append(node);
  const webhooks = createChart({
    title: "Webhooks", unit: "per second", format: rate,
    summary: (points) => `peak ${rate(Math.max(0, ...values(points)))} per second`,
  });
  const drift = createChart({
    title: "Drift", unit: "repaired", format: count, kind: "bars",
    summary: (points) => `${plural(values(points).reduce((a, b) => a + b, 0), "difference")} repaired in all`,
  });
  const converge = createChart({
    title: "Convergence", unit: "", format: duration,
    summary: (points) => `half were right within ${duration(median(values(points)))}`,
  });
  panel.body.append(webhooks.element, drift.element, converge.element);
  follow(app, "stats", panel, (stats) => {
    const points = stats.points ?? [];
    const seconds = (stats.intervalMs || 10_000) / 1000;
    setText(node, `of ${plain(stats.node)}, in points of ${seconds} s`);
    const draw = (chart, value) => chart.draw(wholeSpan(points.map((p) => ({ time: p.time, value: value(p) })), seconds * 1000));
    draw(webhooks, (p) => p.webhooks / seconds);
    draw(drift, (p) => p.drift);
    // 0 is "no change in this point", and not "at once".
    draw(converge, (p) => p.convergeMs || null);
  });
  return panel.element;
}
