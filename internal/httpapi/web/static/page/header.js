// The top of the page: navigation, state of the connection, theme and token.

import { now } from "./clock.js";
import { h, setAttribute, setText, show, uniqueId } from "./dom.js";
import { span } from "./format.js";
import { alarms, problems } from "./health.js";
import * as icons from "./icons.js";
import { plain } from "./text.js";

const places = [["overview", "/#/", "Overview"], ["rooms", "/#/rooms", "Rooms"], ["drift", "/#/drift", "Drift"]];

export function createHeader(app) {
  const links = places.map(([view, href, text]) => h("a", { href, "data-view": view }, text));
  app.store.on(["route"], ({ route }) => {
    const view = route?.view === "room" ? "rooms" : route?.view;
    for (const link of links) setAttribute(link, "aria-current", link.dataset.view === view ? "page" : null);
  });
  return h("header", { class: "top" },
    h("a", { class: "brand", href: "/#/", "aria-label": "rollcall, overview" }, icons.mark(), h("span", {}, "rollcall")),
    h("nav", { "aria-label": "Views" }, links),
    connection(app), themeButton(), tokenButton(app), announcer(app));
}

const states = {
  connecting: ["Connecting", "wait"], live: ["Live", "ok"], waiting: ["Reconnecting", "wait"], refused: ["Polling", "wait"],
};

// describe says how the page receives changes, and since when it has received none.
function describe({ conn, status, hasToken }) {
  let [text, level] = states[conn.state] ?? states.connecting;
  let detail = { live: "Changes arrive as they happen", refused: "This node sends no events here; the page asks every 5 to 20 s" }[conn.state] ?? "";
  if (conn.state === "waiting") detail = `Tries again in ${span(Math.max(0, conn.retryAt - Date.now()))}; meanwhile the page asks every 5 to 20 s`;
  const error = status.error;
  if (error?.status === 401) [text, level, detail] = ["No access", "bad", hasToken ? "The node does not accept the token" : "The node wants a token"];
  else if (error?.status === 403 && conn.state !== "live") [text, level, detail] = ["No access", "bad", plain(error.message)];
  else if (error && (error.status === 0 || error.status >= 500)) {
    [text, level] = ["No answer", "bad"];
    detail = status.at ? `Nothing heard for ${span(Date.now() - status.at)}` : "Nothing heard yet";
  }
  return { text, level, detail };
}

// connection is the state in one word. It is read out when it changes, and a click explains it.
function connection(app) {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const text = h("span", { class: "connection-text" });
  const node = h("span", { class: "connection-node" });
  const heard = h("span", { class: "unseen", role: "status" });
  const id = uniqueId("connection");
  const more = h("p", { id, class: "connection-more", popover: "auto" });
  const box = h("button", { type: "button", class: "quiet connection", popovertarget: id }, dot, text, node);
  app.store.on(["conn", "status", "second"], (state) => {
    const { text: word, level, detail } = describe(state);
    setText(text, word);
    setText(node, state.status.data?.node ? plain(state.status.data.node) : "");
    show(node, node.textContent !== "");
    setText(heard, word);
    setText(more, `${detail}.`);
    setAttribute(box, "aria-label", `Connection: ${[word, node.textContent].filter(Boolean).join(", ")}`);
    setAttribute(box, "title", detail);
    box.dataset.level = level;
  });
  return [box, more, heard];
}

const themes = { "": ["System theme", icons.auto], light: ["Light theme", icons.sun], dark: ["Dark theme", icons.moon] };

function themeButton() {
  const root = document.documentElement;
  const button = h("button", { type: "button", class: "quiet square", on: { click: next } });
  function draw() {
    const [text, picture] = themes[root.dataset.theme ?? ""];
    button.replaceChildren(picture());
    setAttribute(button, "aria-label", `${text}; switch`);
    setAttribute(button, "title", text);
  }
  function next() {
    const order = Object.keys(themes);
    const chosen = order[(order.indexOf(root.dataset.theme ?? "") + 1) % order.length];
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    try {
      localStorage.setItem("rollcall-theme", chosen);
    } catch {
      // Then the choice lasts until the page is left.
    }
    draw();
  }
  draw();
  return button;
}

function tokenButton(app) {
  const button = h("button", { type: "button", class: "quiet square", title: "Token", on: { click: () => app.askToken() } }, icons.key());
  app.store.on(["status"], () => {
    setAttribute(button, "aria-label", app.session.token ? "Token: set; change" : "Token: none; enter");
    button.dataset.set = app.session.token ? "yes" : "no";
  });
  return button;
}

// announcer reads each new problem out once; the lists themselves change too often to be live regions.
function announcer(app) {
  const region = h("div", { class: "unseen", role: "alert" });
  let before = new Set();
  app.store.on(["status", "cluster"], (state) => {
    const found = alarms(problems(state, now()));
    const titles = found.map((p) => p.title.replace(/\d[\d,]*/g, "").trim());
    const news = titles.filter((title) => !before.has(title));
    before = new Set(titles);
    if (news.length) setText(region, found.map((p) => p.title).join(". "));
    else if (!titles.length) setText(region, "");
  });
  return region;
}
