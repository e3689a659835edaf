// The token, for this tab only, and the client that sends it.

import { createClient } from "/rollcall-client.js";

const key = "rollcall-token";

function stored() {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

/** createSession keeps the token; changed is called with each new one. */
export function createSession(changed) {
  const make = (token) => createClient({ endpoint: location.origin, token });
  const session = {
    token: stored(),
    client: null,
    setToken(token) {
      session.token = token;
      session.client = make(token);
      try {
        if (token) sessionStorage.setItem(key, token);
        else sessionStorage.removeItem(key);
      } catch {
        // Without storage the token lasts until the page is left.
      }
      changed();
    },
  };
  session.client = make(session.token);
  return session;
}
