// What is shown for an address that the page does not have.

import { h } from "./dom.js";
import { safe } from "./text.js";

export function createUnknownView() {
  const address = h("code", {});
  return {
    element: h("div", { class: "view unknown" },
      h("div", { class: "view-head" }, h("div", {}, h("h1", { tabindex: "-1" }, "There is no such address"),
        h("p", { class: "lead" }, address, " is not a part of this page. ", h("a", { href: "/#/" }, "Overview"), " says whether all is well, and ",
          h("a", { href: "/#/rooms" }, "Rooms"), " lists every live room. A room has the address ", h("code", {}, "/rooms/NAME"), ".")))),
    enter(route) { address.replaceChildren(safe(route.address)); },
  };
}
