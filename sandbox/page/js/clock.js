// Times as Discord shows them: header times, <t:…> styles, and relative times that tick.

const locale = () => document.documentElement.lang || navigator.language || "en";

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};

const UNITS = [
  ["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1],
];

export function formatRelative(seconds, nowMs = Date.now()) {
  const delta = Math.round(seconds - nowMs / 1000);
  const [unit, size] = UNITS.find(([, span]) => Math.abs(delta) >= span) || UNITS.at(-1);
  return new Intl.RelativeTimeFormat(locale(), { numeric: "always" }).format(Math.trunc(delta / size), unit);
}

export function formatStyle(seconds, style) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return null;
  if (style === "R") return formatRelative(seconds);
  return new Intl.DateTimeFormat(locale(), STYLES[style] || STYLES.f).format(date);
}

export function fullDate(date) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "full", timeStyle: "medium" }).format(date);
}

export function clockTime(date) {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(date);
}

export function dayLabel(date) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "long" }).format(date);
}

/** "14:03" today, "Yesterday at 14:03", else the short date and time. */
export function headerTime(date, now = new Date()) {
  const day = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((day(now) - day(date)) / 86400000);
  if (days === 0) return clockTime(date);
  if (days === 1) return `Yesterday at ${clockTime(date)}`;
  return formatStyle(date.getTime() / 1000, "s");
}

/** Keep every relative <time> on the page true. Runs for the life of the page. */
export function startClock() {
  setInterval(() => {
    for (const el of document.querySelectorAll("time[data-relative]")) {
      const text = formatRelative(Number(el.dataset.relative));
      if (el.textContent !== text) el.textContent = text;
    }
  }, 1000);
}
