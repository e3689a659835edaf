// The icons of the page. They say nothing that the words beside them do not say.

import { svg } from "./dom.js";

function icon(...paths) {
  return svg("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" },
    ...paths.map((d) => svg("path", { d })));
}

export const key = () => icon("M12.5 11.5a4.5 4.5 0 1 0-4-4L2.5 13.5v4h4v-2h2v-2h2l1-1.6", "M13.7 6.3h.01");
export const sun = () => icon("M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M4.3 15.7l1.1-1.1M14.6 5.4l1.1-1.1");
export const moon = () => icon("M16.5 12.3A7 7 0 0 1 7.7 3.5a7 7 0 1 0 8.8 8.8");
export const auto = () => icon("M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14", "M10 3v14M10 6.5h4.5M10 10h6.8M10 13.5h4.5");
export const search = () => icon("M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11M13 13l4 4");
export const back = () => icon("M11.5 4.5 6 10l5.5 5.5");

/** mark is the logo: a list of names, the last one not yet called. */
export function mark() {
  return svg("svg", { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 32, height: 32, rx: 8 }),
    svg("path", { class: "lines", d: "M14.5 9.5H25M14.5 16H25M14.5 22.5H21" }),
    svg("circle", { class: "here", cx: 8.5, cy: 9.5, r: 2.25 }),
    svg("circle", { class: "here", cx: 8.5, cy: 16, r: 2.25 }),
    svg("circle", { class: "away", cx: 8.5, cy: 22.5, r: 1.6 }));
}
