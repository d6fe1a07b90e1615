// DOM building without markup strings: text can only ever become text nodes.

const SVG_NS = "http://www.w3.org/2000/svg";

/**
 * Create an element.
 * @param {string} tag
 * @param {object} [props] class, dataset, on ({event: handler}), vars (CSS custom
 *   properties, set through CSSOM so that the CSP needs no 'unsafe-inline'),
 *   boolean or string attributes, or DOM properties prefixed with a dot.
 * @param {...(Node|string|number|null|false|Array)} children
 */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") el.className = value;
    else if (key === "dataset") Object.assign(el.dataset, value);
    else if (key === "on") for (const [name, fn] of Object.entries(value)) el.addEventListener(name, fn);
    else if (key === "vars") for (const [name, v] of Object.entries(value)) el.style.setProperty(name, v);
    else if (key.startsWith(".")) el[key.slice(1)] = value;
    else el.setAttribute(key, value === true ? "" : String(value));
  }
  append(el, children);
  return el;
}

export function append(parent, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

export function clear(el, ...children) {
  el.replaceChildren();
  return append(el, children);
}

// Simple 24x24 line shapes drawn for this page.
const ICONS = {
  hash: "M9 4 7 20M17 4l-2 16M4 9h16M3 15h16",
  chat: "M4 5h16v11H11l-5 4v-4H4z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-4 3-6 6.500-6s6.500 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2.200.8 3.500 2.700 3.500 5.500",
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6 6 18",
  eye: "M2 12s3.500-6.500 10-6.500S22 12 22 12s-3.500 6.500-10 6.500S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  chevron: "M6 9l6 6 6-6",
  external: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  warn: "M12 4 2.500 20h19zM12 10v5M12 17.500v.5",
  apps: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  check: "M5 12.500 10 17.500 19 7",
  reply: "M10 6 4 12l6 6M4 12h10c4 0 6 2 6 6",
  swap: "M7 4 3 8l4 4M3 8h14M17 12l4 4-4 4M21 16H7",
  send: "M4 12 20 4l-5 16-3.500-6.500zM11.500 13.500 20 4",
  newmark: "M12 5v14M5 12h14",
};

export function icon(name, cls = "") {
  const svg = document.createElementNS(SVG_NS, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon ${cls}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG_NS, "path");
  path.setAttribute("d", ICONS[name] || ICONS.hash);
  svg.append(path);
  return svg;
}

/** The address when its scheme may be opened from a message, else null. */
export function safeHref(raw) {
  if (typeof raw !== "string") return null;
  const text = raw.trim();
  if (!/^(https?:\/\/[^\s]+|mailto:[^\s]+)$/i.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Address of an image or file: an absolute path of this server, or http(s). */
export function mediaUrl(raw) {
  if (typeof raw !== "string" || !raw) return null;
  if (/^\/(?![/\\])/.test(raw)) return raw;
  return safeHref(raw)?.startsWith("http") ? safeHref(raw) : null;
}

/** Rebuild `el` only when `key` changed; the keyboard focus stays on the same control. */
export function repaint(el, key, build) {
  const text = JSON.stringify(key);
  if (el.paintKey === text) return;
  el.paintKey = text;
  const held = el.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  clear(el, build());
  if (held) el.querySelector(`[data-focus="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

export function link(href, props, ...children) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", ...props }, ...children);
}

export function colorOf(number) {
  if (number === undefined || number === null) return null;
  return `#${(Number(number) & 0xffffff).toString(16).padStart(6, "0")}`;
}

let counter = 0;
export function uid(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}

export function toast(text) {
  const box = document.getElementById("toasts");
  const el = h("div", { class: "toast" }, icon("warn"), h("span", null, text));
  box.append(el);
  setTimeout(() => el.remove(), 7000);
}
