// A small chart of one quantity over time. Its label and its table contain the same information for those who cannot see it.

import { h, setAttribute, setText, show, svg } from "./dom.js";
import { clockTime } from "./format.js";

const width = 320;
const height = 88;
const top = 8;

// niceTop returns a round number at or above the highest value, so that the scale does not jump with every point.
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

const x = (i, n) => (n < 2 ? width : (i / (n - 1)) * width);

// Points without a value (null) leave a gap.
function line(points, y) {
  let path = "";
  let gap = true;
  points.forEach((p, i) => {
    if (p.value === null) {
      gap = true;
      return;
    }
    path += `${gap ? "M" : "L"}${x(i, points.length).toFixed(1)} ${y(p.value).toFixed(1)}`;
    gap = false;
  });
  return path;
}

// The area below a line, for each stretch between gaps.
function ground(points, y) {
  let path = "";
  points.forEach((p, i) => {
    if (p.value === null) return;
    const at = x(i, points.length).toFixed(1);
    const begins = (points[i - 1]?.value ?? null) === null;
    const ends = (points[i + 1]?.value ?? null) === null;
    path += `${begins ? `M${at} ${height}` : ""}L${at} ${y(p.value).toFixed(1)}${ends ? `L${at} ${height}z` : ""}`;
  });
  return path;
}

// A value between two gaps would be a line of no length.
function lonely(points, i) {
  return points[i].value !== null && (points[i - 1]?.value ?? null) === null && (points[i + 1]?.value ?? null) === null;
}

function bars(points, y) {
  const wide = Math.max(2.5, (width / points.length) * 0.7);
  return points.map((p, i) => (p.value
    ? `M${(x(i, points.length) * (1 - wide / width)).toFixed(1)} ${height}v${(y(p.value) - height).toFixed(1)}h${wide.toFixed(1)}V${height}z` : "")).join("");
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * createChart returns { element, draw(points) }, where points are { time, value }. options: title, unit, format, kind, and
 * more(values), which adds to the sentence below the latest value.
 */
export function createChart({ title, unit, format, kind = "line", more = () => "" }) {
  const area = svg("path", { class: "area" });
  const stroke = svg("path", { class: kind === "bars" ? "bars" : "line" });
  const dots = svg("path", { class: "dots" });
  const cursor = svg("line", { class: "cursor", y1: 0, y2: height });
  const grid = svg("path", { class: "grid", d: `M0 ${top}H${width}M0 ${(height + top) / 2}H${width}M0 ${height}H${width}` });
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height + 1}`, role: "img", preserveAspectRatio: "none" }, grid, area, stroke, dots, cursor);
  const value = h("span", { class: "value" });
  const at = h("span", { class: "below" });
  const highest = h("span", {});
  const from = h("span", {});
  const rows = h("tbody", {});
  const details = h("details", {}, h("summary", {}, "As a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), h("th", { scope: "col", class: "number" }, unit || title))), rows)));
  const empty = h("p", { class: "note" }, "No points yet.");
  const body = h("div", { class: "plot" }, picture, h("div", { class: "scale" }, from, highest, h("span", {}, "now")));
  const element = h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-title" }, title), h("span", { class: "reading" }, value, h("span", { class: "unit" }, unit)), at), body, empty, details);
  let points = [];

  function summary() {
    const values = points.map((p) => p.value).filter((v) => v !== null);
    return values.length ? `latest; median ${format(median(values))}, max ${format(Math.max(...values))}${more(values)}` : "";
  }
  function read(i) {
    const point = points[i] ?? points.findLast((p) => p.value !== null);
    setText(value, point && point.value !== null ? format(point.value) : "–");
    setText(at, i === undefined || !point ? summary() : `at ${clockTime(point.time)}`);
    show(cursor, i !== undefined);
    cursor.classList.toggle("off", i === undefined);
    if (i !== undefined) for (const side of ["x1", "x2"]) cursor.setAttribute(side, x(i, points.length).toFixed(1));
  }
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    read(Math.max(0, Math.min(points.length - 1, Math.round(((event.clientX - box.left) / box.width) * (points.length - 1)))));
  });
  picture.addEventListener("pointerleave", () => read());
  details.addEventListener("toggle", fillTable);

  function fillTable() {
    if (!details.open) return;
    rows.replaceChildren(...points.toReversed().map((p) => h("tr", {},
      h("td", {}, clockTime(p.time)), h("td", { class: "number" }, p.value === null ? "–" : format(p.value)))));
  }

  function draw(next) {
    points = next;
    show(empty, !points.length);
    show(body, points.length > 0);
    const limit = niceTop(Math.max(0, ...points.map((p) => p.value ?? 0)));
    const y = (v) => height - (v / limit) * (height - top);
    const path = kind === "bars" ? bars(points, y) : line(points, y);
    setAttribute(stroke, "d", path || null);
    setAttribute(area, "d", kind === "line" ? ground(points, y) || null : null);
    setAttribute(dots, "d", kind === "line" ? points.map((p, i) => (lonely(points, i) ? `M${x(i, points.length).toFixed(1)} ${y(p.value).toFixed(1)}h0` : "")).join("") || null : null);
    setText(highest, points.length ? `top ${format(limit)}` : "");
    setText(from, points.length ? clockTime(points[0].time).slice(0, 5) : "");
    read();
    setAttribute(picture, "aria-label", `${title}: ${value.textContent} ${unit}, ${summary()}`);
    fillTable();
  }
  return { element, draw };
}
