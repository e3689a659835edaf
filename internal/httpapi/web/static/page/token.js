// Entry of the token. It stays in this tab and goes to this node only.

import { createDialog } from "./dialog.js";
import { h, show, uniqueId } from "./dom.js";

/** createTokenDialog returns the function that opens the dialog. */
export function createTokenDialog(app) {
  const id = uniqueId("token");
  const input = h("input", {
    id, type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint`, autocapitalize: "off",
  });
  const forget = h("button", { type: "button", on: { click: () => save("") } }, "Forget it");
  const dialog = createDialog("Token", (close) => [
    h("form", { method: "dialog", on: { submit } },
      h("label", { for: id }, "Admin token, or a LiveKit access token"),
      input,
      h("p", { id: `${id}-hint`, class: "hint" }, "Kept in this tab until it is closed, and sent to this node only. "
        + "A LiveKit token with roomList reads; with roomAdmin too, and without a room, it also acts."),
      h("div", { class: "buttons end" }, forget,
        h("button", { type: "button", on: { click: close } }, "Cancel"),
        h("button", { type: "submit", class: "primary" }, "Use it"))),
  ]);

  function save(token) {
    input.value = "";
    dialog.close();
    app.session.setToken(token);
  }
  function submit(event) {
    event.preventDefault();
    // Pasted tokens usually end with a line break.
    const token = input.value.trim().replace(/^Bearer\s+/i, "");
    if (token) save(token);
    else input.focus();
  }
  return () => {
    show(forget, app.session.token !== "");
    dialog.open();
    input.focus();
  };
}
