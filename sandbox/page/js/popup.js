// A floating box tied to an anchor; closes on outside press, Escape or a lost anchor.

import { h } from "./dom.js";

let open = null;

export function closePopup() {
  open?.close();
}

/**
 * @param {HTMLElement} anchor
 * @param {HTMLElement} content
 * @param {{matchWidth?: boolean, onClose?: () => void, align?: "start"|"end"}} [options]
 */
export function openPopup(anchor, content, { matchWidth = false, onClose, align = "start" } = {}) {
  closePopup();
  const box = h("div", { class: "popup" }, content);
  // Inside a modal dialog the page behind it is inert, so live in the dialog.
  (anchor.closest("dialog") || document.body).append(box);

  const place = () => {
    if (!anchor.isConnected) {
      close();
      return;
    }
    const a = anchor.getBoundingClientRect();
    const margin = 8;
    const width = matchWidth ? Math.max(a.width, 180) : box.offsetWidth;
    if (matchWidth) box.style.setProperty("width", `${Math.min(width, innerWidth - 2 * margin)}px`);
    const below = innerHeight - a.bottom - margin;
    const above = a.top - margin;
    const down = below >= Math.min(box.scrollHeight, 260) || below >= above;
    box.style.setProperty("max-height", `${Math.min(340, Math.max(120, (down ? below : above) - 4))}px`);
    const top = down ? a.bottom + 4 : Math.max(margin, a.top - box.offsetHeight - 4);
    const wanted = align === "end" ? a.right - width : a.left;
    box.style.setProperty("top", `${top}px`);
    box.style.setProperty("left", `${Math.max(margin, Math.min(wanted, innerWidth - width - margin))}px`);
  };
  const outside = (event) => {
    if (!box.contains(event.target) && !anchor.contains(event.target)) close();
  };
  const onKey = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close();
    anchor.focus();
  };
  const watcher = setInterval(() => !anchor.isConnected && close(), 300);
  function close() {
    if (open !== handle) return;
    open = null;
    clearInterval(watcher);
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("keydown", onKey, true);
    removeEventListener("resize", place);
    document.removeEventListener("scroll", onScroll, true);
    box.remove();
    onClose?.();
  }
  const onScroll = (event) => {
    if (!box.contains(event.target)) place();
  };
  const handle = { close, box };
  open = handle;
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", onKey, true);
  addEventListener("resize", place);
  document.addEventListener("scroll", onScroll, true);
  place();
  return handle;
}

/** A menu of actions: [{label, icon?, onPick}] with arrow-key movement. */
export function openMenu(anchor, title, items, options) {
  const buttons = items.map((item) => h("button", {
    class: "menu-item", type: "button", role: "menuitem",
    on: { click: () => { closePopup(); item.onPick(); } },
  }, h("span", null, item.label), item.icon));
  const menu = h("div", { class: "menu", role: "menu", "aria-label": title }, title && h("div", { class: "menu-title" }, title), buttons);
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = buttons.indexOf(document.activeElement);
    buttons.at((index + step) % buttons.length)?.focus();
  });
  openPopup(anchor, menu, options);
  buttons[0]?.focus();
}
