// Formats numbers and times for people.

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function count(n) {
  return Number.isFinite(n) ? numbers.format(n) : "–";
}

/** rate keeps small numbers exact enough to distinguish 0 from a few. */
export function rate(n) {
  if (!Number.isFinite(n)) return "–";
  return Number.isInteger(n) || n >= 100 ? numbers.format(n) : oneDigit.format(n);
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** duration formats milliseconds: 14 ms, 1.2 s, 2 min 5 s, 23 h. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${ms % 1000 ? oneDigit.format(ms / 1000) : ms / 1000} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds % 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds / 60} min`;
}

/** span formats a length of time in one unit: 12 s, 3 min, 2 h, 4 d. */
export function span(ms) {
  const seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function relative(at, now) {
  const ms = at - now;
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `${span(ms)} ago` : `in ${span(ms)}`;
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

export function clockTime(at, { millis = false } = {}) {
  const t = new Date(at);
  const time = `${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}`;
  return millis ? `${time}.${pad(t.getMilliseconds(), 3)}` : time;
}

export function fullTime(at) {
  const t = new Date(at);
  return `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} ${clockTime(at, { millis: true })}`;
}

/** since names a time, with its date if that is another day, and how long ago it is: 10:31:02 (4 min). */
export function since(at, now) {
  const time = new Date(at).toDateString() === new Date(now).toDateString() ? clockTime(at) : fullTime(at).slice(0, -4);
  return `${time} (${span(Math.max(0, now - at))})`;
}

/** moment parses Unix ms or ISO 8601; it returns NaN for anything else. */
export function moment(value) {
  return typeof value === "number" ? value : Date.parse(value ?? "");
}
