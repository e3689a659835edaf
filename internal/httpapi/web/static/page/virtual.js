// A list that draws only the visible rows, however many there are.

import { h, setAttribute } from "./dom.js";

const spare = 8; // rows drawn beyond each edge

/**
 * createVirtual returns { element, show(items), focusFirst() }. Rows are rowHeight pixels high; create() makes an empty one,
 * update(row, item) fills it; rows are reused for other items. Arrows, Home, End and Page keys move between them.
 */
export function createVirtual({ label, rowHeight, columns, create, update, keyOf }) {
  let items = [];
  let focused = null;
  const rows = new Map(); // key → row
  const body = h("div", { class: "virtual-body", role: "rowgroup" });
  const frame = h("div", { class: "virtual", on: { scroll: draw, keydown: move, focusin: noteFocus, focusout: () => { focused = null; } } }, body);
  const element = h("div", { role: "table", "aria-label": label, "aria-colcount": columns.length },
    h("div", { role: "rowgroup", class: "virtual-head" }, h("div", { role: "row", "aria-rowindex": 1 }, columns)), frame);
  new ResizeObserver(() => draw()).observe(frame);

  function noteFocus(event) {
    focused = event.target.closest("[role=row]")?.itemKey ?? null;
  }

  // The first visible row and the row after the last.
  function sight() {
    const first = Math.max(0, Math.floor(frame.scrollTop / rowHeight) - spare);
    return [first, Math.min(items.length, Math.ceil((frame.scrollTop + frame.clientHeight) / rowHeight) + spare)];
  }

  function place(row, item, index) {
    if (row.index !== index) {
      row.index = index;
      row.style.transform = `translateY(${index * rowHeight}px)`;
      row.setAttribute("aria-rowindex", index + 2);
    }
    update(row, item);
  }

  function draw() {
    const [first, end] = sight();
    const wanted = new Map();
    for (let i = first; i < end; i += 1) wanted.set(keyOf(items[i]), i);
    if (focused !== null && !wanted.has(focused)) {
      // Removing a row that has the focus would take the reader back to the top of the page.
      const i = items.findIndex((item) => keyOf(item) === focused);
      if (i >= 0) wanted.set(focused, i);
    }
    const free = [];
    for (const [key, row] of rows) {
      if (!wanted.has(key)) {
        rows.delete(key);
        row.remove();
        free.push(row);
      }
    }
    // In the order of the list, because rows are read out and tabbed through in that order. Rows that stay are
    // not moved, which would cost them the focus.
    let next = body.firstChild;
    for (const [key, index] of [...wanted].sort((a, b) => a[1] - b[1])) {
      let row = rows.get(key);
      if (!row) {
        row = free.pop() ?? create();
        row.itemKey = key;
        rows.set(key, row);
      }
      if (row === next) next = row.nextSibling;
      else body.insertBefore(row, next);
      place(row, items[index], index);
    }
  }

  function focusRow(index) {
    const at = Math.max(0, Math.min(items.length - 1, index));
    const upper = at * rowHeight;
    if (upper < frame.scrollTop) frame.scrollTop = upper;
    else if (upper + rowHeight > frame.scrollTop + frame.clientHeight) frame.scrollTop = upper + rowHeight - frame.clientHeight;
    const key = keyOf(items[at]);
    draw();
    rows.get(key).querySelector("a").focus({ preventScroll: true });
  }

  function move(event) {
    const row = event.target.closest("[role=row]");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(frame.clientHeight / rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    focusRow(row.index + steps[event.key]);
  }

  return {
    element,
    show(next) {
      items = next;
      body.style.height = `${items.length * rowHeight}px`;
      setAttribute(element, "aria-rowcount", items.length + 1);
      draw();
    },
    top() { frame.scrollTop = 0; },
    focusFirst() { if (items.length) focusRow(0); },
  };
}
