() => {
  const wrong = [];
  const visible = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const every = (selector) => [...document.querySelectorAll(selector)].filter(visible);
  const label = (e) => `${e.tagName.toLowerCase()}${e.className ? `.${String(e.className.baseVal ?? e.className).replace(/ /g, ".")}` : ""}`;
  const byIds = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const nameOf = (e) => [e.getAttribute("aria-label"), byIds(e.getAttribute("aria-labelledby") ?? ""),
    [...(e.labels ?? [])].map((l) => l.textContent).join(" "), /^(A|BUTTON|SUMMARY)$/.test(e.tagName) ? e.textContent : ""]
    .find((text) => text?.trim())?.trim() ?? "";

  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push(`id ${id} is there twice`);
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const e of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of e.getAttribute(attribute).split(/\s+/)) if (!document.getElementById(id)) wrong.push(`${attribute} names ${id}, which is not there`);
    }
  }
  for (const e of every("a, button, input, summary, progress, meter, dialog[open], section, nav, [role=region], [role=table], [role=group], svg[role=img]")) {
    if (!nameOf(e)) wrong.push(`${label(e)} without a name`);
  }
  for (const e of every("[tabindex]")) if (e.tabIndex > 0) wrong.push(`${label(e)} has a positive tabindex`);
  for (const [selector, n] of [["main", 1], ["header.top", 1], ["nav", 1], ["h1", 1]]) {
    const found = selector === "main" ? document.querySelectorAll("main").length : every(selector).length;
    if (found !== n) wrong.push(`${found} ${selector} ${selector === "h1" ? "headings" : "landmarks"}`);
  }
  if (document.documentElement.lang !== "en" || !document.title) wrong.push("the page has no language or title");
  let level = 0;
  for (const h of [...document.querySelectorAll("h1, h2, h3, h4")].filter((e) => !e.closest("dialog") && e.checkVisibility())) {
    const next = Number(h.tagName[1]);
    if (next > level + 1) wrong.push(`h${next} follows h${level}`);
    level = next;
  }
  for (const table of every("table")) if (![...table.querySelectorAll("thead th")].every((th) => th.scope === "col")) wrong.push(`${label(table)} has head cells without a scope`);

  // Colours, blended down to the page; canvas reads whatever notation the styles use.
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const faded = (e) => { let o = 1; for (let at = e; at; at = at.parentElement) o *= Number(getComputedStyle(at).opacity); return o; };
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const told = new Set();
  for (const e of every("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
    if (!own && e.tagName !== "INPUT" || e.closest(".unseen, .skip, :disabled, [aria-disabled=true], script, noscript")) continue;
    const style = getComputedStyle(e);
    const below = ground(e);
    const front = rgba(style.color);
    front[3] *= faded(e);
    const [a, b] = [light(over(front, below)), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const big = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const text = `${label(e)}: contrast ${ratio.toFixed(2)}`;
    if (ratio < (big ? 3 : 4.5) && !told.has(text)) { told.add(text); wrong.push(`${text} (${e.textContent.slice(0, 30)})`); }
  }
  // Fingers: at least 24 by 24 pixels, or a line of text of its own.
  for (const e of every("button, input, nav a")) {
    const box = e.getBoundingClientRect();
    if (box.width < 24 || box.height < 24) wrong.push(`${label(e)} is ${Math.round(box.width)} by ${Math.round(box.height)} pixels`);
  }
  return wrong;
}
