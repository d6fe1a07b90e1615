// Select menus (string, user, role, mentionable, channel) as an accessible listbox.

import { h, icon, uid } from "./dom.js";
import { avatar } from "./avatar.js";
import { closePopup, openPopup } from "./popup.js";

export const SELECT_TYPES = new Set([3, 5, 6, 7, 8]);

const PLACEHOLDER = { 5: "Select a user", 6: "Select a role", 7: "Select a user or role", 8: "Select a channel" };

/** The choices of any select as [{label, value, description?, emoji?, lead?, default?}]. */
export function selectOptions(component, store) {
  if (component.type === 3) return component.options || [];
  const defaults = new Set((component.default_values || []).map((v) => v.id));
  if (component.type === 8) {
    const guild = store.guildOf(store.current);
    const wanted = component.channel_types?.length ? new Set(component.channel_types) : null;
    return (guild?.channels || []).filter((c) => !wanted || wanted.has(c.type ?? 0))
      .map((c) => ({ label: `#${c.name}`, value: c.id, default: defaults.has(c.id) }));
  }
  if (component.type === 6) {
    return (store.guildOf(store.current)?.roles || []).map((r) => ({ label: `@${r.name}`, value: r.id, default: defaults.has(r.id) }));
  }
  return [...store.users.values()].map((u) => ({
    label: store.displayName(u), description: u.username, value: u.id, lead: avatar(u, "small"), default: defaults.has(u.id),
  }));
}

export function emojiNode(emoji) {
  if (!emoji?.name) return null;
  return h("span", { class: "emoji", "aria-hidden": "true" }, emoji.id ? "◆" : emoji.name);
}

/**
 * @param {object} component Discord select component
 * @param {object} options {store, label?, disabled?, onCommit(values)}
 * @returns {{element: HTMLElement, values: () => string[]}}
 */
export function selectMenu(component, { store, label, disabled = false, onCommit }) {
  const options = selectOptions(component, store);
  const min = component.min_values ?? 1;
  const max = component.max_values ?? 1;
  const listId = uid("list");
  const multi = max > 1;
  let chosen = new Set(options.filter((o) => o.default).map((o) => o.value));
  let active = -1;
  let handle = null;
  let before = "";

  const face = h("span", { class: "select-face" });
  const button = h("button", {
    class: "select", type: "button", role: "combobox", "aria-haspopup": "listbox", "aria-expanded": "false",
    "aria-controls": listId, "aria-label": label || component.placeholder || PLACEHOLDER[component.type] || "Make a selection",
    disabled: disabled || component.disabled, dataset: { customId: component.custom_id || "" },
  }, face, icon("chevron"));

  function paint() {
    const picked = options.filter((o) => chosen.has(o.value));
    face.replaceChildren();
    if (!picked.length) face.append(h("span", { class: "placeholder" }, component.placeholder || PLACEHOLDER[component.type] || "Make a selection"));
    else if (!multi) face.append(...[emojiNode(picked[0].emoji), h("span", { class: "select-value" }, picked[0].label)].filter(Boolean));
    else face.append(...picked.map((o) => h("span", { class: "select-chip" }, o.label)));
  }

  const rows = options.map((option, index) => {
    const row = h("div", { class: "select-option", role: "option", id: `${listId}-${index}` },
      option.lead || emojiNode(option.emoji),
      h("span", { class: "select-option-text" }, h("span", { class: "select-option-label" }, option.label),
        option.description && h("span", { class: "select-option-description" }, option.description)),
      multi && h("span", { class: "checkbox" }, icon("check")));
    row.addEventListener("click", () => pick(index));
    row.addEventListener("pointermove", () => index !== active && setActive(index, false));
    return row;
  });
  const list = h("div", { class: "select-list", role: "listbox", id: listId, "aria-multiselectable": multi ? "true" : undefined },
    rows.length ? rows : h("div", { class: "select-empty" }, "Nothing to choose from"));

  function paintRows() {
    rows.forEach((row, i) => {
      row.setAttribute("aria-selected", String(chosen.has(options[i].value)));
      row.classList.toggle("active", i === active);
    });
    if (active >= 0) button.setAttribute("aria-activedescendant", `${listId}-${active}`);
    else button.removeAttribute("aria-activedescendant");
  }
  function setActive(index, scroll = true) {
    active = Math.max(0, Math.min(rows.length - 1, index));
    paintRows();
    if (scroll) rows[active]?.scrollIntoView({ block: "nearest" });
  }
  function pick(index) {
    const value = options[index]?.value;
    if (value === undefined) return;
    if (multi) {
      if (chosen.has(value)) chosen.delete(value);
      else if (chosen.size < max) chosen.add(value);
      paintRows();
      paint();
      return;
    }
    if (chosen.has(value) && min === 0) chosen.clear();
    else chosen = new Set([value]);
    closePopup();
    button.focus();
  }
  const values = () => options.filter((o) => chosen.has(o.value)).map((o) => o.value);

  function show() {
    before = JSON.stringify(values());
    active = Math.max(0, options.findIndex((o) => chosen.has(o.value)));
    button.setAttribute("aria-expanded", "true");
    handle = openPopup(button, list, {
      matchWidth: true,
      onClose: () => {
        handle = null;
        button.setAttribute("aria-expanded", "false");
        button.removeAttribute("aria-activedescendant");
        const now = values();
        if (JSON.stringify(now) === before) return;
        if (now.length < min) {
          chosen = new Set(JSON.parse(before));
        } else if (button.isConnected) {
          onCommit?.(now);
        }
        paint();
      },
    });
    setActive(active);
  }

  button.addEventListener("click", () => (handle ? closePopup() : show()));
  button.addEventListener("keydown", (event) => {
    if (!handle) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        show();
      }
      return;
    }
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: rows.length - 1 };
    if (event.key in moves) setActive(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") pick(active);
    else if (event.key === "Tab") {
      closePopup();
      return;
    } else if (event.key.length === 1) {
      const found = options.findIndex((o, i) => i > active && o.label.toLowerCase().startsWith(event.key.toLowerCase()));
      if (found >= 0) setActive(found);
    } else return;
    event.preventDefault();
  });
  paint();
  return { element: button, values };
}
