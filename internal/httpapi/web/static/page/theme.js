// Runs before the first paint, as a plain script, so that the other theme does not flash for a moment.
// The choice is light, dark or, by default, the system's.
"use strict";
(() => {
  let chosen = "";
  try {
    chosen = localStorage.getItem("rollcall-theme") ?? "";
  } catch {
    // Storage may be disabled; then the system decides.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
