// Names come from strangers: they may contain NUL, line ends and marks that reverse the text. They are shown isolated,
// and invisible characters are shown by name.

import { h } from "./dom.js";

// Controls, bidi marks, zero-width and other invisible characters. The joiners are kept for scripts and emoji that need
// them, and named next to ASCII, which never needs them.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb]|[\u200c\u200d](?=[\x20-\x7e]|$)|(?<=^|[\x20-\x7e])[\u200c\u200d]|[\u{e0000}-\u{e0fff}]|^ | $|\p{Surrogate}/gu;

const short = { "\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function nameOf(character) {
  const code = character.codePointAt(0);
  if (character === " ") return "\u00b7";
  if (character in short) return short[character];
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}

/** plain returns a name as one safe string: for titles, labels and live regions. */
export function plain(name) {
  const text = String(name ?? "");
  return text === "" ? "(empty)" : text.replace(hidden, nameOf);
}

/** sentence returns what a node says as one sentence, with one full stop. */
export function sentence(text) {
  const said = plain(text);
  return /[.?!]$/.test(said) ? said : `${said}.`;
}

/** safe returns a name as an isolated element. */
export function safe(name, { className = "name" } = {}) {
  const text = String(name ?? "");
  const box = h("bdi", { class: className });
  if (text === "") {
    box.append(h("span", { class: "escaped" }, "(empty)"));
    return box;
  }
  let end = 0;
  for (const match of text.matchAll(hidden)) {
    if (match.index > end) box.append(text.slice(end, match.index));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    box.append(h("span", { class: "escaped", title: `U+${code}` }, nameOf(match[0])));
    end = match.index + match[0].length;
  }
  if (end < text.length) box.append(text.slice(end));
  return box;
}
