// Where in the page we are, in the hash, so that every view and every room has a link.

const names = new Set(["", "rooms", "drift"]);

/** parse reads "#/rooms/NAME" or "#/rooms?q=x&sort=people"; what it does not know is the overview. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const slash = path.indexOf("/");
  const view = slash < 0 ? path : path.slice(0, slash);
  if (view === "rooms" && slash >= 0 && slash + 1 < path.length) {
    try {
      return { view: "room", room: decodeURIComponent(path.slice(slash + 1)), query: new URLSearchParams() };
    } catch {
      return { view: "rooms", query: new URLSearchParams() };
    }
  }
  return { view: names.has(view) && view ? view : "overview", query: new URLSearchParams(query) };
}

export function roomLink(name) {
  return `#/rooms/${encodeURIComponent(String(name).toWellFormed())}`;
}

/** watch calls go now and with each change of the hash. */
export function watch(go) {
  const turn = () => go(parse(location.hash));
  addEventListener("hashchange", turn);
  turn();
}
