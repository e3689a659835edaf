// A stand-in for the package of that name: what a token needs.
import { createHmac } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class AccessToken {
  #key;
  #secret;
  #claims;

  constructor(key, secret, { identity, ttl }) {
    const [, minutes] = ttl.match(/^(\d+)m$/);
    this.#key = key;
    this.#secret = secret;
    this.#claims = { sub: identity, exp: Math.floor(Date.now() / 1000) + minutes * 60 };
  }

  addGrant(video) { this.#claims.video = video; }

  async toJwt() {
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ iss: this.#key, ...this.#claims })}`;
    return `${signed}.${createHmac("sha256", this.#secret).update(signed).digest("base64url")}`;
  }
}
