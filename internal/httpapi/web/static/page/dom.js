// Makes elements without markup: text is inserted as text, whatever it contains.

const svgNamespace = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** h makes an HTML element: h("p", { class: "x", on: { click } }, "text", node). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** svg makes an SVG element in the same way. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), props, children);
}

/** setText writes only a text that differs: an unchanged text keeps the reader's selection, and costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** show hides or shows an element; a hidden one takes no space. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** setIdle marks a button that does nothing now. A disabled button would lose the focus, and keyboard users their place. */
export function setIdle(button, idle) {
  setAttribute(button, "aria-disabled", idle ? "true" : null);
}

/** isIdle reports whether clicks on a button must be ignored. */
export const isIdle = (button) => button.getAttribute("aria-disabled") === "true";

/**
 * keyed makes parent's children match items, in order. A child is kept as long as its key, so focus and selection stay.
 * create(item) makes one; update(node, item) is called for each, including new ones.
 */
export function keyed(parent, items, keyOf, create, update) {
  const before = parent.keyedNodes ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const node = before.get(key) ?? create(item);
    before.delete(key);
    after.set(key, node);
    update?.(node, item);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
  parent.keyedNodes = after;
}

let lastId = 0;

/** uniqueId returns an id for labels that must name their control. */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
