// Server-sent events over fetch: an EventSource cannot send a token.

/** parseEvents feeds text in pieces and calls take({ event, data, id }) for each whole event. */
export function createParser(take) {
  let rest = "";
  let event = "";
  let data = [];
  let id;

  function line(text) {
    if (text === "") {
      if (data.length) take({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment, which only shows that the line lives
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }

  return (piece) => {
    rest += piece;
    // A CR at the very end may be half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const text of lines) line(text);
  };
}

const silence = 40_000; // heartbeats come every 15 s

/**
 * follow reads one connection until it ends. It resolves when the server ended it and rejects as client.open does, or
 * when nothing came for 40 s. opened() is called once it stands.
 */
export async function follow(client, path, { lastId, signal, opened, take }) {
  const quiet = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => quiet.abort(new Error("The line is silent")), silence);
  };
  const headers = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  heard();
  try {
    const response = await client.open(path, { headers, signal: AbortSignal.any([signal, quiet.signal]) });
    opened();
    const parse = createParser(take);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      parse(value);
    }
  } finally {
    clearTimeout(timer);
  }
}
