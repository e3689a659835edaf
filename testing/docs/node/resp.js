// A small client of Redis' protocol, on which the stand-ins for ioredis and node-redis are built. It connects again after a break.
import net from "node:net";

// parse reads one reply from text, from at on: [value, next], or null if it is not whole.
function parse(buffer, at) {
  const end = buffer.indexOf("\r\n", at);
  if (end < 0) return null;
  const line = buffer.toString("utf8", at + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(buffer[at])) {
    case "+": return [line, next];
    case "-": return [new Error(line), next];
    case ":": return [Number(line), next];
    case "$": {
      const size = Number(line);
      if (size < 0) return [null, next];
      return buffer.length < next + size + 2 ? null : [buffer.toString("utf8", next, next + size), next + size + 2];
    }
    default: {
      const count = Number(line);
      if (count < 0) return [null, next];
      const list = [];
      let from = next;
      while (list.length < count) {
        const one = parse(buffer, from);
        if (!one) return null;
        list.push(one[0]);
        from = one[1];
      }
      return [list, from];
    }
  }
}

export class Connection {
  #url;
  #socket = null;
  #waiting = [];

  constructor(url) {
    this.#url = new URL(url);
  }

  #open() {
    const socket = net.connect(Number(this.#url.port), this.#url.hostname);
    let buffer = Buffer.alloc(0);
    socket.on("data", (piece) => {
      buffer = Buffer.concat([buffer, piece]);
      for (let reply; (reply = parse(buffer, 0)); buffer = buffer.subarray(reply[1])) {
        const { resolve, reject } = this.#waiting.shift();
        if (reply[0] instanceof Error) reject(reply[0]);
        else resolve(reply[0]);
      }
    });
    const lost = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the connection is lost"));
    };
    socket.on("error", lost);
    socket.on("close", lost);
    return socket;
  }

  send(...words) {
    this.#socket ??= this.#open();
    const text = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join("");
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`*${words.length}\r\n${text}`);
    });
  }

  duplicate() {
    return new Connection(this.#url);
  }

  async *scan(match) {
    let cursor = "0";
    do {
      const [next, keys] = await this.send("SCAN", cursor, "MATCH", match);
      yield keys;
      cursor = next;
    } while (cursor !== "0");
  }
}
