// The list above the composer: commands, option choices, people. One combobox popup.

import { append, h, uid } from "./dom.js";

export class Suggest {
  #items = [];
  #rows = [];
  #input = null;
  active = -1;

  constructor() {
    this.id = uid("suggest");
    this.list = h("div", { class: "suggest-list", role: "listbox", id: this.id, "aria-label": "Suggestions" });
    this.head = h("div", { class: "suggest-head" });
    this.element = h("div", { class: "suggest", hidden: true }, this.head, this.list);
    // Keep the focus in the text while the list is pressed.
    this.element.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  /**
   * @param {HTMLElement} input that keeps the focus
   * @param {{title: *, items?: {label: *, detail?: *, side?: *, lead?: Node, onPick: () => void}[],
   *   note?: string, busy?: boolean, preselect?: boolean}} view
   */
  show(input, { title, items = [], note = "", busy = false, preselect = true }) {
    if (this.#input && this.#input !== input) this.#detach();
    this.#input = input;
    this.#items = items;
    this.active = preselect && items.length ? 0 : -1;
    this.head.replaceChildren();
    append(this.head, [title]);
    this.#rows = items.map((item, index) => {
      const row = h("div", { class: "suggest-item", role: "option", id: `${this.id}-${index}` },
        item.lead,
        h("div", { class: "suggest-text" }, h("div", { class: "suggest-label" }, item.label), item.detail && h("div", { class: "suggest-detail" }, item.detail)),
        item.side && h("div", { class: "suggest-side" }, item.side));
      row.addEventListener("click", () => item.onPick());
      row.addEventListener("pointermove", () => this.#activate(index, false));
      return row;
    });
    this.list.replaceChildren(...this.#rows);
    if (busy) this.list.append(h("div", { class: "suggest-loading", role: "status", "aria-label": "Loading options" }, h("i"), h("i"), h("i")));
    if (note) this.list.append(h("div", { class: "suggest-note", role: "status" }, note));
    this.list.hidden = !this.list.childElementCount;
    this.element.hidden = false;
    this.list.scrollTop = 0;
    input.setAttribute("aria-expanded", String(items.length > 0));
    input.setAttribute("aria-controls", this.id);
    this.#paint();
  }

  get open() {
    return !this.element.hidden;
  }

  hide() {
    this.element.hidden = true;
    this.#items = [];
    this.#rows = [];
    this.active = -1;
    this.#detach();
  }

  #detach() {
    this.#input?.setAttribute("aria-expanded", "false");
    this.#input?.removeAttribute("aria-activedescendant");
    this.#input = null;
  }

  move(step) {
    const count = this.#items.length;
    if (!this.open || !count) return false;
    const start = this.active < 0 ? (step > 0 ? -1 : 0) : this.active;
    this.#activate((start + step + count) % count, true);
    return true;
  }

  /** Take the highlighted item, or the first when `force`. @returns {boolean} whether one was taken */
  pick(force = false) {
    if (!this.open) return false;
    const item = this.#items[this.active < 0 && force ? 0 : this.active];
    item?.onPick();
    return Boolean(item);
  }

  #activate(index, scroll) {
    if (index === this.active) return;
    this.active = index;
    this.#paint();
    if (scroll) this.#rows[index]?.scrollIntoView({ block: "nearest" });
  }

  #paint() {
    this.#rows.forEach((row, i) => {
      row.classList.toggle("active", i === this.active);
      row.setAttribute("aria-selected", String(i === this.active));
    });
    if (this.active >= 0) this.#input?.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.#input?.removeAttribute("aria-activedescendant");
  }
}
