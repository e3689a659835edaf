// The overview: one sentence, then the details.

import { now, setWhen, when } from "./clock.js";
import { h, setText, show } from "./dom.js";
import { moment } from "./format.js";
import { problems, verdict } from "./health.js";
import { occupancy, sentence } from "./occupancy.js";
import { createChanges } from "./panel-changes.js";
import { createCharts } from "./panel-charts.js";
import { createCluster } from "./panel-cluster.js";
import { createSyncPanel } from "./panel-sync.js";
import { createProblems } from "./problems.js";

function headline(app) {
  const title = h("h1", { tabindex: "-1" });
  const time = when(NaN);
  const text = h("span", {});
  const detail = h("p", { class: "lead" }, text, time);
  const box = h("div", { class: "headline" }, title, detail);
  app.store.on(["status", "cluster", "second"], (state) => {
    const said = verdict(state, problems(state, now()));
    const present = occupancy(state.cluster);
    const count = present ? sentence(present) : "";
    const well = said.level === "ok";
    setText(title, well ? `${said.title} ${count}`.trim() : said.title);
    setText(text, well ? said.detail : said.detail || count);
    show(detail, text.textContent !== "");
    show(time, well);
    setWhen(time, moment(state.status.data?.lastSync?.startedAt));
    box.dataset.level = said.level;
  });
  return box;
}

// Joins and leaves show in the headline within a second; the poll of the cluster is slower.
const soon = 1000;

function keepOccupancy(app) {
  let due = 0;
  app.store.on(["lastChange"], ({ lastChange, route }) => {
    if (!lastChange || route?.view !== "overview") return;
    due ||= setTimeout(() => {
      due = 0;
      app.live.resources.cluster.refresh();
    }, soon);
  });
}

export function createOverview(app) {
  keepOccupancy(app);
  return {
    element: h("div", { class: "view overview" },
      headline(app), createProblems(app, { inOverview: true }),
      h("div", { class: "columns" }, createSyncPanel(app), createCluster(app)),
      createCharts(app), createChanges(app)),
    enter() {},
  };
}
