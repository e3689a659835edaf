// Dialogs: the browser traps the focus and closes on Escape; the focus goes back to where it was.

import { h, uniqueId } from "./dom.js";

/** createDialog returns { element, open(), close() }; build(close) returns its body. */
export function createDialog(title, build) {
  const id = uniqueId("dialog");
  const element = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title));
  const close = () => element.close();
  element.append(...build(close));
  // A click on the backdrop targets the dialog itself.
  element.addEventListener("click", (event) => { if (event.target === element) close(); });
  let cameFrom = null;
  element.addEventListener("close", () => cameFrom?.focus());
  document.body.append(element);
  return {
    element,
    close,
    open() {
      cameFrom = document.activeElement;
      if (!element.open) element.showModal();
    },
  };
}
