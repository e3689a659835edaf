// A panel: a titled region that says when it is empty, loading, stale or unavailable.

import { h, setText, show, uniqueId } from "./dom.js";
import { span } from "./format.js";
import { isStale } from "./health.js";
import { sentence } from "./text.js";

/** createPanel returns { element, body, aside, note(text), age(text) }; aside holds what is shown right of the title. */
export function createPanel(title, className = "") {
  const id = uniqueId("panel");
  const age = h("span", { class: "age" });
  const aside = h("div", { class: "panel-aside" }, age);
  const message = h("p", { class: "note" });
  const body = h("div", { class: "panel-body" });
  const element = h("section", { class: `panel ${className}`, "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), aside), message, body);
  show(age, false);
  show(message, false);
  return {
    element, body, aside,
    note(text) {
      setText(message, text);
      show(message, text !== "");
    },
    age(text) {
      setText(age, text);
      show(age, text !== "");
    },
  };
}

/** whyNot says, for people, why something could not be read. */
export function whyNot(error) {
  if (error.status === 401) return "Not shown: a valid token is needed.";
  if (error.status === 403) return `Not shown. ${sentence(error.message)}`;
  if (error.status === 404) return "This node does not offer it.";
  return sentence(error.message);
}

/** showAge marks a panel whose content has not been confirmed for 30 s. */
export function showAge({ element, age }, resource) {
  const stale = resource.data !== null && isStale(resource);
  element.dataset.state = resource.data !== null ? (stale ? "stale" : "ready") : resource.error ? "error" : "loading";
  age(stale ? `${span(Date.now() - resource.at)} old` : "");
}

/** follow shows a resource in a panel: its body once there is data, its state until then and when it is stale. */
export function follow(app, key, panel, draw) {
  app.store.on([key, "second"], (state) => {
    const resource = state[key];
    const known = resource.data !== null;
    show(panel.body, known);
    showAge(panel, resource);
    panel.note(known ? "" : resource.error ? whyNot(resource.error) : "Loading…");
  });
  app.store.on([key], (state) => { if (state[key].data !== null) draw(state[key].data, state); });
}
