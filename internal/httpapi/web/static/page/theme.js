// Runs ahead of the first paint, as a plain script, so that nobody is dazzled by the other theme for a moment.
// The choice is light, dark or, by default, what the system says.
"use strict";
(() => {
  let chosen = "";
  try {
    chosen = localStorage.getItem("rollcall-theme") ?? "";
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
