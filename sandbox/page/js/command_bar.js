// A slash command being filled in: one pill an option, suggestions for the focused one.

import { h } from "./dom.js";
import { ChoiceSource } from "./choices.js";
import { filePicker, pill, pillInput } from "./pill.js";
import { coerce, TYPE } from "./slash.js";

export class CommandBar {
  #fields = [];
  #focused = null;
  #sending = false;

  /**
   * @param {object} entry from slash.flatten
   * @param {object} host {suggest, store, autocomplete(entry, focused, options, signal), submit(entry, options), leave(text)}
   */
  constructor(entry, host) {
    this.entry = entry;
    this.host = host;
    this.choices = new ChoiceSource(host, {
      onPick: (field, choice) => this.#pick(field, choice),
      request: (field, signal) => {
        const typed = field.picked ? "" : field.input.value;
        return host.autocomplete(entry, field.option.name, { ...this.#rawOptions(), [field.option.name]: typed }, signal);
      },
      focused: () => this.element.contains(document.activeElement),
    });
    this.error = h("div", { class: "command-error", role: "alert", hidden: true });
    this.pills = h("div", { class: "pills" });
    const onLeave = () => this.element.contains(document.activeElement) || host.suggest.hide();
    this.onLeave = onLeave;
    this.tail = pillInput("Optional settings", { onKey: (event) => this.#tailKey(event), onChange: () => this.#suggestOptional(), onLeave });
    this.tail.classList.add("tail");
    this.tailWrap = h("label", { class: "tail-wrap" }, this.tail, (this.more = h("span", { class: "more", "aria-hidden": "true" })));
    this.element = h("div", { class: "command-bar", role: "group", "aria-label": `Command /${entry.path}` },
      h("span", { class: "command-name" }, `/${entry.path}`), this.pills, this.tailWrap);
    for (const option of entry.options.filter((o) => o.required)) this.#addField(option);
    this.#paintMore();
  }

  #addField(option, text = "") {
    const field = { option, picked: null };
    field.input = pillInput(option.label, {
      onKey: (event) => this.#fieldKey(event, field), onChange: (typed) => this.#changed(field, typed), onLeave: this.onLeave,
    });
    field.pill = pill(option, field.input);
    if (option.type === TYPE.ATTACHMENT) {
      field.file = filePicker(field, { onFile: (choice) => this.#pick(field, choice), onError: (text) => this.#showError(text) });
    }
    this.#fields.push(field);
    this.pills.append(field.pill);
    this.#setText(field, text);
    this.#paintMore();
    return field;
  }

  #setText(field, text) {
    field.input.value = text;
    field.input.resize();
  }

  #unused() {
    const used = new Set(this.#fields.map((f) => f.option.name));
    return this.entry.options.filter((o) => !used.has(o.name));
  }

  #paintMore() {
    const rest = this.#unused().length;
    this.more.textContent = rest ? `+${rest} optional` : "";
    this.tailWrap.classList.toggle("empty", !rest);
  }

  /** Fill options by name with raw text, then focus what comes next. */
  fill(values, focus = true) {
    for (const [name, text] of Object.entries(values)) {
      const option = this.entry.options.find((o) => o.name === name);
      if (!option) continue;
      const field = this.#fields.find((f) => f.option.name === name) || this.#addField(option);
      this.#setText(field, text);
      this.#focused = field;
    }
    if (focus) (this.#focused && Object.keys(values).length ? this.#focused.input : this.#firstEmpty()?.input || this.tail).focus();
  }

  /** Give an already filled option the choice that its text meant. */
  setPicked(name, choice) {
    const field = this.#fields.find((f) => f.option.name === name);
    if (!field) return;
    field.picked = choice;
    field.pill.classList.add("picked");
    this.#setText(field, choice.name);
  }

  focus() {
    (this.#firstEmpty()?.input || this.tail).focus();
  }

  #firstEmpty() {
    return this.#fields.find((f) => f.input.value === "");
  }

  // -- suggestions -------------------------------------------------------
  #changed(field, typed) {
    this.#focused = field;
    if (typed) {
      field.picked = null;
      field.pill.classList.remove("invalid", "picked");
      this.#showError("");
      const own = `${field.option.label}:`;
      if (field.input.value.toLowerCase().startsWith(own.toLowerCase())) this.#setText(field, field.input.value.slice(own.length).trimStart());
      const other = /^(.*)\s([\p{L}\p{N}_-]+):$/u.exec(field.input.value);
      const next = other && this.#unused().find((o) => o.label.toLowerCase() === other[2].toLowerCase());
      if (next) {
        this.#setText(field, other[1]);
        this.#addField(next).input.focus();
        return;
      }
    }
    this.choices.suggest(field, typed);
  }

  #rawOptions() {
    const out = {};
    for (const field of this.#fields) {
      if (field.input.value === "") continue;
      const typed = coerce(field.option, field.input.value, field.picked, this.choices.people(field.option.type));
      if (!typed.error) out[field.option.name] = typed.value;
    }
    return out;
  }

  #pick(field, choice) {
    field.picked = choice;
    field.pill.classList.remove("invalid");
    field.pill.classList.add("picked");
    this.#setText(field, choice.name);
    this.choices.cancel();
    this.#next(field);
  }

  #next(field) {
    const missing = this.#fields.find((f) => f !== field && f.option.required && f.input.value === "");
    (missing?.input || this.tail).focus();
  }

  #suggestOptional() {
    this.choices.cancel();
    const typed = this.tail.value.trim().toLowerCase().replace(/:$/, "");
    const unused = this.#unused();
    const exact = this.tail.value.endsWith(":") && unused.find((o) => o.label.toLowerCase() === typed);
    if (exact) {
      this.#takeOptional(exact);
      return;
    }
    const shown = unused.filter((o) => o.label.toLowerCase().includes(typed));
    if (!unused.length) {
      this.tail.value = "";
      this.tail.resize();
      this.host.suggest.show(this.tail, { title: [h("strong", null, `/${this.entry.path}`), h("span", { class: "suggest-about" }, "Enter sends it")] });
      return;
    }
    this.host.suggest.show(this.tail, {
      title: [h("strong", null, "Optional"), h("span", { class: "suggest-about" }, "Tab adds one, Enter sends")],
      preselect: typed !== "", note: shown.length ? "" : "No such option",
      items: shown.map((o) => ({ label: o.label, detail: o.description, onPick: () => this.#takeOptional(o) })),
    });
  }

  #takeOptional(option) {
    this.tail.value = "";
    this.tail.resize();
    this.#addField(option).input.focus();
  }

  // -- keys --------------------------------------------------------------
  #commonKey(event) {
    const { suggest } = this.host;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (suggest.move(event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      return true;
    }
    if (event.key === "Escape") {
      event.preventDefault();
      if (suggest.open) suggest.hide();
      else this.host.leave("");
      return true;
    }
    return false;
  }

  #fieldKey(event, field) {
    if (this.#commonKey(event)) return;
    const { suggest } = this.host;
    const index = this.#fields.indexOf(field);
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.choices.loading && field.input.value && !field.picked) this.choices.pickWhenLoaded = true;
      else if (field.file && !field.picked) field.file.click();
      else if (!suggest.pick()) this.submit();
    } else if (event.key === "Tab" && !event.shiftKey) {
      const next = this.#fields[index + 1];
      if (suggest.active >= 0 && suggest.pick()) event.preventDefault();
      else if (next || suggest.open) {
        event.preventDefault();
        (next?.input || this.tail).focus();
      }
    } else if (event.key === "Backspace" && field.input.selectionEnd === 0) {
      event.preventDefault();
      this.#removeOrBack(field, index);
    } else if (event.key === "ArrowLeft" && field.input.selectionEnd === 0 && index > 0) {
      event.preventDefault();
      this.#fields[index - 1].input.focus();
    } else if (event.key === "ArrowRight" && field.input.selectionStart === field.input.value.length) {
      event.preventDefault();
      (this.#fields[index + 1]?.input || this.tail).focus();
    }
  }

  #removeOrBack(field, index) {
    const previous = this.#fields[index - 1];
    if (!field.option.required) {
      this.#fields.splice(index, 1);
      field.pill.remove();
      this.#paintMore();
      (previous?.input || this.#fields[index]?.input || this.tail).focus();
    } else if (previous) previous.input.focus();
    else this.host.leave(`/${this.entry.path}`);
  }

  #tailKey(event) {
    if (this.#commonKey(event)) return;
    const { suggest } = this.host;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!suggest.pick()) this.submit();
    } else if (event.key === "Tab" && !event.shiftKey && suggest.open && this.#unused().length) {
      if (suggest.pick(true)) event.preventDefault();
    } else if ((event.key === "Backspace" || event.key === "ArrowLeft") && this.tail.selectionEnd === 0) {
      event.preventDefault();
      const last = this.#fields.at(-1);
      if (last) last.input.focus();
      else if (event.key === "Backspace") this.host.leave(`/${this.entry.path}`);
    }
  }

  // -- sending -----------------------------------------------------------
  #showError(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }

  async submit() {
    if (this.#sending) return;
    const options = {};
    for (const field of this.#fields) {
      const { option } = field;
      const text = field.input.value;
      let error = null;
      if (text.trim() === "") {
        if (!option.required) continue;
        error = "This option is required. Specify a value";
      } else {
        const typed = coerce(option, text, field.picked, this.choices.people(option.type));
        if (typed.error) error = typed.error;
        else options[option.name] = typed.value;
      }
      if (error) {
        field.pill.classList.add("invalid");
        field.input.focus();
        this.#showError(`${option.label}: ${error}.`);
        return;
      }
    }
    this.#sending = true;
    this.element.classList.add("sending");
    this.choices.cancel();
    this.host.suggest.hide();
    const error = await this.host.submit(this.entry, options);
    this.#sending = false;
    this.element.classList.remove("sending");
    if (error) this.#showError(error);
  }

  destroy() {
    this.choices.cancel();
    this.host.suggest.hide();
  }
}
