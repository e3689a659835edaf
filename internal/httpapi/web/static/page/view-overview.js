// The overview: one sentence, then what is behind it.

import { now, setWhen, when } from "./clock.js";
import { h, setText, show } from "./dom.js";
import { moment } from "./format.js";
import { problems, verdict } from "./health.js";
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
    setText(title, said.title);
    setText(text, said.detail);
    show(detail, said.detail !== "");
    show(time, said.level === "ok");
    setWhen(time, moment(state.status.data?.lastSync?.startedAt));
    box.dataset.level = said.level;
  });
  return box;
}

export function createOverview(app) {
  return {
    element: h("div", { class: "view overview" },
      headline(app), createProblems(app, { inOverview: true }),
      h("div", { class: "columns" }, createSyncPanel(app), createCluster(app)),
      createCharts(app), createChanges(app)),
    enter() {},
  };
}
