// Where an option's suggestions come from: its fixed choices, people and channels, or the bot.

import { h } from "./dom.js";
import { avatar } from "./avatar.js";
import { choiceName, limits, TYPE } from "./slash.js";

const DEBOUNCE_MS = 150;

export class ChoiceSource {
  #sequence = 0;
  #timer = null;
  #abort = null;
  loading = false;
  /** Set when Enter came before the bot's answer: its first choice is then taken. */
  pickWhenLoaded = false;

  /**
   * @param {{suggest: object, store: object}} host
   * @param {{onPick(field, choice), request(field, signal): Promise<{choices: object[]}>, focused(): boolean}} owner
   */
  constructor(host, owner) {
    this.host = host;
    this.owner = owner;
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
    this.#sequence += 1;
    this.loading = false;
    this.pickWhenLoaded = false;
  }

  /** Show what fits `field`; `typed` tells a keystroke from a mere focus. */
  suggest(field, typed) {
    this.cancel();
    const { option } = field;
    if (option.autocomplete) {
      this.#ask(field, typed ? DEBOUNCE_MS : 0);
      return;
    }
    const text = field.picked ? "" : field.input.value.trim().toLowerCase().replace(/^[@#]/, "");
    const all = this.fixed(option);
    const items = all.filter((choice) => choice.name.toLowerCase().includes(text));
    this.#present(field, items, items.length || !all.length ? "" : "No choice matches");
  }

  fixed(option) {
    if (option.choices?.length) return option.choices.map((c) => ({ name: choiceName(c), value: c.value }));
    if (option.type === TYPE.BOOLEAN) return [{ name: "True", value: true }, { name: "False", value: false }];
    return this.people(option.type);
  }

  people(type) {
    const { store } = this.host;
    const guild = store.guildOf(store.current);
    const out = [];
    if (type === TYPE.USER || type === TYPE.MENTIONABLE) {
      for (const user of store.users.values()) {
        out.push({ name: store.displayName(user), value: user.id, detail: user.username, lead: avatar(user, "small") });
      }
    }
    if (type === TYPE.CHANNEL) for (const c of guild?.channels || []) out.push({ name: c.name, value: c.id });
    if (type === TYPE.ROLE || type === TYPE.MENTIONABLE) for (const r of guild?.roles || []) out.push({ name: r.name, value: r.id });
    return out;
  }

  #title(option) {
    return [h("strong", null, option.label), h("span", { class: "suggest-about" }, option.description),
      h("span", { class: "suggest-limits" }, [option.required && "required", limits(option)].filter(Boolean).join(" · "))];
  }

  #present(field, choices, note = "", busy = false) {
    this.host.suggest.show(field.input, {
      title: this.#title(field.option), note, busy, preselect: !field.picked,
      items: choices.map((choice) => ({
        label: choice.name, detail: choice.detail, lead: choice.lead, onPick: () => this.owner.onPick(field, choice),
      })),
    });
  }

  /** Ask the bot; a newer keystroke overtakes an older answer. */
  #ask(field, delay) {
    const sequence = this.#sequence;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.loading = true;
    this.#present(field, [], "", true);
    this.#timer = setTimeout(async () => {
      let choices = [];
      let note = "No options match";
      try {
        ({ choices = [] } = await this.owner.request(field, signal));
      } catch (error) {
        if (signal.aborted) return;
        note = `Loading options failed. ${error.message}`;
      }
      if (sequence !== this.#sequence) return;
      this.loading = false;
      if (!this.owner.focused()) return;
      this.#present(field, choices.map((c) => ({ name: choiceName(c), value: c.value })), choices.length ? "" : note);
      if (this.pickWhenLoaded) {
        this.pickWhenLoaded = false;
        this.host.suggest.pick();
      }
    }, delay);
  }
}
