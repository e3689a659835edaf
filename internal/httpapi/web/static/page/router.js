// Keeps the current view in the hash, so that every view and every room has a link.

const names = new Set(["rooms", "drift"]);

/** parse reads "#/rooms/NAME" or "#/rooms?q=x&sort=people"; what it does not know is the view "unknown", with its address. */
export function parse(hash) {
  const unknown = { view: "unknown", address: hash, query: new URLSearchParams() };
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const slash = path.indexOf("/");
  const view = slash < 0 ? path : path.slice(0, slash);
  if (view === "rooms" && slash >= 0 && slash + 1 < path.length) {
    try {
      return { view: "room", room: decodeURIComponent(path.slice(slash + 1)), query: new URLSearchParams() };
    } catch {
      return unknown;
    }
  }
  if (view !== "" && !(names.has(view) && path.length <= view.length + 1)) return unknown;
  return { view: view || "overview", query: new URLSearchParams(query) };
}

export function roomLink(name) {
  return `#/rooms/${encodeURIComponent(String(name).toWellFormed())}`;
}

// The node answers an address that it does not have with the page, so that the page says so.
function here() {
  return location.pathname === "/" ? parse(location.hash) : { view: "unknown", address: location.pathname, query: new URLSearchParams() };
}

/** watch calls go now and after each change of the hash. */
export function watch(go) {
  const turn = () => go(here());
  addEventListener("hashchange", turn);
  turn();
}
