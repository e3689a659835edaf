// A stand-in for node-redis 5: the calls that docs/consuming.md uses, with node-redis' arguments and results.
import { Connection } from "../../resp.js";

const message = ([id, list]) => ({ id, message: Object.fromEntries(list.flatMap((name, i) => (i % 2 ? [] : [[name, list[i + 1]]]))) });

class Client {
  #to;

  constructor(to) {
    this.#to = to;
  }

  on(event) {
    if (event !== "error") throw new Error(`the stand-in has no event ${event}`);
    return this;
  }

  async connect() { return this; }
  duplicate() { return new Client(this.#to.duplicate()); }
  get(key) { return this.#to.send("GET", key); }
  mGet(keys) { return this.#to.send("MGET", ...keys); }
  async xRange(key, from, to) { return (await this.#to.send("XRANGE", key, from, to)).map(message); }
  async xRevRange(key, from, to, { COUNT }) { return (await this.#to.send("XREVRANGE", key, from, to, "COUNT", COUNT)).map(message); }
  async xRead({ key, id }, { BLOCK }) {
    const streams = await this.#to.send("XREAD", "BLOCK", BLOCK, "STREAMS", key, id);
    return streams && streams.map(([name, entries]) => ({ name, messages: entries.map(message) }));
  }
  scanIterator({ MATCH }) { return this.#to.scan(MATCH); }
}

export const createClient = ({ url }) => new Client(new Connection(url));
