// The message box: plain text, the command list behind "/", and the command being filled in.

import { clear, h, icon, repaint, toast } from "./dom.js";
import { avatar } from "./avatar.js";
import { CommandBar } from "./command_bar.js";
import { byPath, choiceName, match, readArguments, typedCommand } from "./slash.js";
import { Suggest } from "./suggest.js";

const MAX_LENGTH = 2000;

export class Composer {
  #bar = null;
  #drafts = new Map();
  #channel = null;

  /** @param {object} ctx {store, api, entries(), sendSlash(entry, options), sendText(text)} */
  constructor(dock, ctx) {
    this.ctx = ctx;
    this.suggest = new Suggest();
    this.input = h("textarea", {
      id: "composer-input", class: "composer-text", rows: "1", autocomplete: "off", spellcheck: "true", maxlength: MAX_LENGTH,
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-haspopup": "listbox", enterkeyhint: "send",
    });
    this.slot = h("div", { class: "composer-slot" }, this.input);
    this.send = h("button", { class: "icon-button send", type: "button", "aria-label": "Send", on: { click: () => this.#submit() } }, icon("send"));
    this.slashButton = h("button", { class: "icon-button slash-button", type: "button", "aria-label": "Commands", title: "Commands",
      on: { click: () => this.#openCommands() } }, icon("apps"));
    this.box = h("div", { class: "composer" }, this.suggest.element,
      h("div", { class: "composer-row" }, this.slashButton, this.slot, this.send),
      (this.errorSlot = h("div", { class: "composer-errors" })));
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Suggestions" });
    this.typing = h("div", { class: "typing", role: "status" });
    this.waiting = h("div", { class: "waiting", role: "status", hidden: true });
    dock.replaceChildren(this.waiting, this.chips, this.box, this.typing);

    this.input.addEventListener("input", () => this.#onInput());
    this.input.addEventListener("focus", () => this.#onInput());
    this.input.addEventListener("blur", () => this.suggest.hide());
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    ctx.store.on("state", () => this.#paint());
    ctx.store.on("commands", () => this.#paint());
  }

  show(channelId) {
    if (this.#channel && !this.#bar) this.#drafts.set(this.#channel, this.input.value);
    this.#channel = channelId;
    this.#leave(this.#drafts.get(channelId) || "", false);
    this.#paint();
  }

  #paint() {
    const { store } = this.ctx;
    const channel = store.channels.get(this.#channel);
    if (!channel) return;
    const name = store.channelName(channel);
    const label = `Message ${channel.guild_id ? "#" : "@"}${name}`;
    this.input.placeholder = label;
    this.input.setAttribute("aria-label", label);
    const bot = store.displayName(store.bot || { username: "The bot" });
    this.waiting.hidden = store.ready;
    repaint(this.waiting, bot, () => [h("span", { class: "spinner", "aria-hidden": "true" }), `Waiting for ${bot} to come online…`]);
    repaint(this.chips, [store.suggestions, store.ready], () => store.suggestions.length > 0 && [
      h("span", { class: "chips-label" }, "Try"),
      store.suggestions.map((text) => h("button", {
        class: "chip", type: "button", disabled: !store.ready, dataset: { focus: text }, on: { click: () => this.#runSuggestion(text) },
      }, text))]);
  }

  focus() {
    if (this.#bar) this.#bar.focus();
    else this.input.focus();
  }

  // -- plain text and the command list -----------------------------------
  #resize() {
    this.input.style.setProperty("height", "auto");
    this.input.style.setProperty("height", `${Math.min(this.input.scrollHeight, 200)}px`);
  }

  #onInput() {
    const text = this.input.value;
    this.#resize();
    clear(this.errorSlot);
    if (text.startsWith("/") && !text.includes("\n")) {
      const found = typedCommand(this.ctx.entries(), text);
      if (found) this.#start(found.entry, readArguments(found.entry, found.rest));
      else this.#showCommands(text.slice(1));
      return;
    }
    const before = text.slice(0, this.input.selectionStart);
    const mention = /(?:^|\s)@([\p{L}\p{N}_.-]{0,32})$/u.exec(before);
    if (mention && document.activeElement === this.input) this.#showPeople(mention[1]);
    else this.suggest.hide();
  }

  #openCommands() {
    if (this.#bar) this.#leave("");
    if (!this.input.value.startsWith("/")) this.input.value = "/";
    this.input.focus();
    this.#onInput();
  }

  #showCommands(query) {
    const { store } = this.ctx;
    const found = match(this.ctx.entries(), query).slice(0, 25);
    const bot = store.displayName(store.bot || { username: "app" });
    const note = found.length ? "" : this.ctx.entries().length ? "No command matches" : store.ready ? "No commands here yet" : "The bot is not online yet";
    this.suggest.show(this.input, {
      title: h("strong", null, "Commands"), note,
      items: found.map((entry) => ({
        lead: avatar(store.bot, "small"), side: bot, detail: entry.description,
        label: [h("span", { class: "suggest-command" }, `/${entry.path}`),
          entry.options.filter((o) => o.required).map((o) => h("span", { class: "suggest-option" }, o.label)),
          entry.options.some((o) => !o.required) && h("span", { class: "suggest-more" }, `+${entry.options.filter((o) => !o.required).length} optional`)],
        onPick: () => this.#start(entry, {}),
      })),
    });
  }

  #showPeople(query) {
    const { store } = this.ctx;
    const q = query.toLowerCase();
    const people = [...store.users.values()].filter((u) => `${store.displayName(u)} ${u.username}`.toLowerCase().includes(q)).slice(0, 8);
    if (!people.length) {
      this.suggest.hide();
      return;
    }
    this.suggest.show(this.input, {
      title: h("strong", null, "Members"),
      items: people.map((user) => ({
        lead: avatar(user, "small"), label: store.displayName(user), side: user.username,
        onPick: () => {
          const at = this.input.selectionStart;
          const head = this.input.value.slice(0, at).replace(/@[^@\s]*$/, `@${user.username} `);
          this.input.value = head + this.input.value.slice(at);
          this.input.setSelectionRange(head.length, head.length);
          this.#onInput();
        },
      })),
    });
  }

  #onKey(event) {
    if (event.isComposing) return;
    const { suggest } = this;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && suggest.open) {
      if (suggest.move(event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
    } else if (event.key === "Escape" && suggest.open) {
      event.preventDefault();
      suggest.hide();
    } else if (event.key === "Tab" && !event.shiftKey && suggest.pick()) {
      event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (!suggest.pick()) this.#submit();
    }
  }

  async #submit() {
    if (this.#bar) {
      await this.#bar.submit();
      return;
    }
    const text = this.input.value.trim();
    if (!text || this.sending) return;
    this.sending = true;
    this.suggest.hide();
    const error = await this.ctx.sendText(this.#withMentions(text));
    this.sending = false;
    if (error) clear(this.errorSlot, h("div", { class: "command-error", role: "alert" }, error));
    else if (this.input.value.trim() === text) {
      this.input.value = "";
      this.#resize();
    }
  }

  /** "@name" of a known person becomes the mention that the server understands. */
  #withMentions(text) {
    const { store } = this.ctx;
    const names = [...store.users.values()].flatMap((u) => [[u.username, u.id], [store.displayName(u), u.id]]).sort((a, b) => b[0].length - a[0].length);
    return text.replace(/(^|\s)@(\S[^@\n]*)/g, (whole, gap, rest) => {
      const found = names.find(([name]) => rest.toLowerCase().startsWith(name.toLowerCase()) && !/^[\p{L}\p{N}_]/u.test(rest.slice(name.length)));
      return found ? `${gap}<@${found[1]}>${rest.slice(found[0].length)}` : whole;
    });
  }

  // -- commands ----------------------------------------------------------
  #start(entry, values, focus = true) {
    this.suggest.hide();
    this.#bar?.destroy();
    this.#bar = new CommandBar(entry, {
      suggest: this.suggest, store: this.ctx.store,
      autocomplete: (e, focused, options, signal) => this.ctx.api.autocomplete(this.#channel, e.name, e.subcommand, focused, options, signal),
      submit: async (e, options) => {
        const error = await this.ctx.sendSlash(e, options);
        if (!error) this.#leave("");
        return error;
      },
      leave: (text) => this.#leave(text),
    });
    this.slot.replaceChildren(this.#bar.element);
    this.errorSlot.replaceChildren(this.#bar.error);
    this.#bar.fill(values, focus);
    return this.#bar;
  }

  #leave(text, focus = true) {
    this.#bar?.destroy();
    this.#bar = null;
    this.input.value = text;
    this.slot.replaceChildren(this.input);
    clear(this.errorSlot);
    this.suggest.hide();
    this.#resize();
    if (focus) this.input.focus();
  }

  /** Put `/path` into the box, e.g. from a command mention. */
  startCommand(path) {
    const entry = byPath(this.ctx.entries(), path);
    if (entry) this.#start(entry, {});
    else if (this.ctx.entries().some((e) => e.path.startsWith(`${path} `))) this.#leave(`/${path} `);
    else toast(`/${path} is not available here.`);
  }

  /** A suggestion runs at once; raw option texts become the bot's own choice where one fits. */
  async #runSuggestion(text) {
    const found = typedCommand(this.ctx.entries(), `${text} `);
    if (!found) {
      if (text.startsWith("/")) toast(`${text} is not available here.`);
      else {
        this.#leave(text);
        await this.#submit();
      }
      return;
    }
    const values = readArguments(found.entry, found.rest);
    const bar = this.#start(found.entry, values, false);
    const asked = found.entry.options.filter((o) => o.autocomplete && values[o.name]);
    await Promise.all(asked.map(async (option) => {
      try {
        const { choices = [] } = await this.ctx.api.autocomplete(this.#channel, found.entry.name, found.entry.subcommand, option.name, values);
        const wanted = values[option.name].toLowerCase();
        const choice = choices.find((c) => choiceName(c).toLowerCase() === wanted) || choices.find((c) => choiceName(c).toLowerCase().startsWith(wanted));
        if (choice) bar.setPicked(option.name, { name: choiceName(choice), value: choice.value });
      } catch {
        // The typed text is sent as it stands; the bot reads free text too.
      }
    }));
    if (this.#bar === bar) await bar.submit();
  }
}
