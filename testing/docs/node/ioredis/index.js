// A stand-in for ioredis: the calls that docs/consuming.md uses, with ioredis' arguments and results.
import { Connection } from "../../resp.js";

export class Redis {
  #to;

  constructor(to) {
    this.#to = typeof to === "string" ? new Connection(to) : to;
  }

  on(event) {
    if (event !== "error") throw new Error(`the stand-in has no event ${event}`);
    return this;
  }

  duplicate() { return new Redis(this.#to.duplicate()); }
  get(key) { return this.#to.send("GET", key); }
  mget(...keys) { return this.#to.send("MGET", ...keys); }
  xrange(key, from, to) { return this.#to.send("XRANGE", key, from, to); }
  xrevrange(...words) { return this.#to.send("XREVRANGE", ...words); }
  xread(...words) { return this.#to.send("XREAD", ...words); }
  scanStream({ match }) { return this.#to.scan(match); }
}
