import { isSyncServiceRunning, triggerImmediateSync } from "http://localhost:8080/rollcall-client.js";

const indicator = document.querySelector("sync-status-indicator");
const log = document.querySelector("#log");
const say = (text) => log.append(`${text}\n`);

document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  indicator.token = document.querySelector("#token").value;
});

// Events bubble: one listener serves a whole page.
document.addEventListener("rollcall-status", ({ detail }) => say(`status: ${detail.state}`));
document.addEventListener("rollcall-action", ({ detail }) => say(`${detail.action}: ${detail.phase}`));

document.querySelector("#sync").addEventListener("click", async () => {
  const where = { endpoint: indicator.endpoint, token: indicator.token };
  try {
    say(`running: ${await isSyncServiceRunning(where)}`);
    say(`synced: ${(await triggerImmediateSync(where)).result.synced}`);
  } catch (error) {
    say(error.message);
  }
});
