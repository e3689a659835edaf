// Four charts of the last half hour: who is there, what comes in, what was missed, and how long it took to commit.

import { createChart } from "./chart.js";
import { h, setText } from "./dom.js";
import { count, duration, rate } from "./format.js";
import { createPanel, follow } from "./panel.js";
import { plain } from "./text.js";

// A node that has just started has few points: they are drawn at the right, and the rest of the half hour is empty.
function wholeSpan(points, intervalMs) {
  const missing = Math.max(0, Math.round(1_800_000 / intervalMs) - points.length);
  const first = points[0]?.time ?? 0;
  if (!points.length) return [];
  return [...Array.from({ length: missing }, (_, i) => ({ time: first - (missing - i) * intervalMs, value: null })), ...points];
}

export function createCharts(app) {
  const panel = createPanel("The last half hour", "charts");
  const node = h("span", { class: "aside-text" });
  panel.aside.append(node);
  const people = createChart({ title: "People, in the whole cluster", unit: "people", format: count });
  const webhooks = createChart({ title: "Webhooks", unit: "per second", format: rate });
  const drift = createChart({
    title: "Drift", unit: "repaired", format: count, kind: "bars",
    more: (values) => `; ${count(values.reduce((a, b) => a + b, 0))} in all`,
  });
  const converge = createChart({ title: "Convergence", unit: "", format: duration });
  panel.body.append(people.element, webhooks.element, drift.element, converge.element);
  follow(app, "stats", panel, (stats) => {
    const points = stats.points ?? [];
    const seconds = (stats.intervalMs || 10_000) / 1000;
    setText(node, `of ${plain(stats.node)}, in points of ${seconds} s`);
    const draw = (chart, value) => chart.draw(wholeSpan(points.map((p) => ({ time: p.time, value: value(p) })), seconds * 1000));
    draw(people, (p) => p.occupancy?.people ?? null);
    draw(webhooks, (p) => p.webhooks / seconds);
    draw(drift, (p) => p.drift);
    // 0 means "no change in this point", not "at once".
    draw(converge, (p) => p.convergeMs || null);
  });
  return panel.element;
}
