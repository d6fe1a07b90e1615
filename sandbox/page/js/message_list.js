// The scrolled list: grouping, dividers, swapping edited messages in place, staying at the bottom.

import { h, icon } from "./dom.js";
import { dayLabel } from "./clock.js";
import { continues, messageNode } from "./message.js";
import { compareIds } from "./store.js";

const NEAR_BOTTOM = 60;
const SWAP_WAIT_MS = 500;

export class MessageList {
  #entries = new Map();
  #channel = null;
  #pinned = true;
  #missed = 0;
  #newFrom = null;
  #lastTop = 0;
  #dividers = new Map();

  constructor(scroller, ctx) {
    this.ctx = ctx;
    this.scroller = scroller;
    this.inner = h("div", { class: "message-list", role: "log", "aria-label": "Messages", "aria-live": "polite", "aria-relevant": "additions" });
    this.jump = h("button", { class: "jump", type: "button", hidden: true, on: { click: () => this.toBottom() } });
    scroller.replaceChildren(this.inner);
    scroller.after(this.jump);
    scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    const observer = new ResizeObserver(() => this.#pinned && this.#scrollDown());
    observer.observe(this.inner);
    observer.observe(scroller);
    document.addEventListener("visibilitychange", () => this.markRead());
    ctx.store.on("messages", ({ channelId, message, fresh }) => {
      if (channelId !== this.#channel) return;
      if (fresh && message && this.#answersMe(message)) this.#pinned = true;
      if (fresh && message && !this.#pinned) this.#missed += 1;
      this.sync();
      this.markRead();
    });
    ctx.store.on("failure", ({ messageId }) => this.#paintFailure(messageId));
    ctx.store.on("state", () => this.#rebuildIfRenamed());
    ctx.store.on("commands", () => this.#rebuildIfRenamed());
  }

  show(channelId) {
    const unread = this.ctx.store.unread(channelId);
    this.#newFrom = unread ? this.ctx.store.readMark(channelId) : null;
    this.#channel = channelId;
    this.#entries.clear();
    this.#dividers.clear();
    this.inner.replaceChildren();
    this.#missed = 0;
    this.#pinned = true;
    this.sync();
    this.#scrollDown();
  }

  /** Bring the DOM in line with the store, touching only what changed. */
  sync(rebuild = false) {
    const { store } = this.ctx;
    const messages = store.list(this.#channel);
    const wanted = [this.#intro(messages)];
    const seen = new Set();
    let previous = null;
    let markNew = this.#newFrom;
    for (const message of messages) {
      const newDay = !previous || dayLabel(new Date(previous.timestamp)) !== dayLabel(new Date(message.timestamp));
      const isNew = markNew !== null && !message.local && compareIds(message.id, markNew) > 0 && message.author.id !== store.me.id;
      if (isNew) markNew = null;
      if (newDay || isNew) wanted.push(this.#divider(newDay ? dayLabel(new Date(message.timestamp)) : "", isNew));
      const compact = !newDay && !isNew && continues(previous, message);
      wanted.push(this.#entry(message, compact, rebuild).node);
      seen.add(message.id);
      previous = message;
    }
    for (const id of this.#entries.keys()) if (!seen.has(id)) this.#entries.delete(id);
    patch(this.inner, wanted);
    if (this.#pinned) this.#scrollDown();
    this.#paintJump();
  }

  /** Messages show names and app menus; draw them again only when one of those changed. */
  #rebuildIfRenamed() {
    const { store } = this.ctx;
    const names = [...store.users.values(), ...store.channels.values()].map((x) => [x.id, x.name, x.username, x.global_name]);
    const key = JSON.stringify([names, store.commands.filter((c) => (c.type ?? 1) !== 1).map((c) => c.name)]);
    const changed = key !== this.namesKey;
    this.namesKey = key;
    if (this.#channel) this.sync(changed);
  }

  /** An answer to what this member just did, not far below: worth following. */
  #answersMe(message) {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return message.interaction_metadata?.user?.id === this.ctx.store.me.id && scrollHeight - scrollTop - clientHeight < clientHeight * 1.5;
  }

  #entry(message, compact, rebuild) {
    const old = this.#entries.get(message.id);
    if (old && !rebuild && old.message === message && old.compact === compact) return old;
    const fresh = messageNode(message, this.ctx, { compact });
    const entry = { node: fresh, message, compact };
    this.#entries.set(message.id, entry);
    const images = [...fresh.querySelectorAll("img")].filter((img) => !img.complete);
    if (old && images.length && old.node.isConnected) {
      // Keep the old card on screen until the new pictures are there, so an edit does not flash.
      entry.node = old.node;
      const loaded = Promise.allSettled(images.map((img) => img.decode()));
      Promise.race([loaded, new Promise((done) => setTimeout(done, SWAP_WAIT_MS))]).then(() => {
        if (this.#entries.get(message.id) !== entry) return;
        entry.node = fresh;
        this.#swap(old.node, fresh);
      });
    } else if (old) {
      this.#swap(old.node, fresh);
    }
    return entry;
  }

  #swap(oldNode, fresh) {
    if (!oldNode.isConnected || oldNode === fresh) return;
    const focused = oldNode.contains(document.activeElement) ? document.activeElement.dataset.customId : null;
    oldNode.replaceWith(fresh);
    if (focused) fresh.querySelector(`[data-custom-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    if (this.#pinned) this.#scrollDown();
  }

  #paintFailure(messageId) {
    const text = this.ctx.store.failures.get(messageId) || "";
    const line = this.#entries.get(messageId)?.node.querySelector(".message-content > .interaction-error");
    if (!line) return;
    line.hidden = !text;
    line.querySelector(".failure-text").textContent = text;
  }

  #intro(messages) {
    const { store } = this.ctx;
    const channel = store.channels.get(this.#channel);
    const earlier = this.ctx.mayHaveEarlier(messages.length);
    const key = `${this.#channel}|${earlier}|${store.welcome}|${store.channelName(channel)}`;
    if (this.introNode?.dataset.key === key) return this.introNode;
    const name = store.channelName(channel);
    const more = earlier
      ? h("button", { class: "button secondary", type: "button", on: { click: () => this.ctx.loadEarlier() } }, "Load earlier messages") : null;
    this.introNode = h("header", { class: "intro", dataset: { key } },
      more || h("div", { class: "intro-icon" }, icon(channel?.guild_id ? "hash" : "chat")),
      !more && h("h2", null, channel?.guild_id ? `Welcome to #${name}!` : name),
      !more && h("p", null, channel?.guild_id ? store.welcome : `This is the beginning of your direct messages with ${name}.`));
    return this.introNode;
  }

  /** Dividers are kept, so that screen readers do not hear them again on every change. */
  #divider(label, isNew) {
    const key = `${label}|${isNew}`;
    if (!this.#dividers.has(key)) this.#dividers.set(key, makeDivider(label, isNew));
    return this.#dividers.get(key);
  }

  setPending(messageId, customId, on) {
    const node = this.#entries.get(messageId)?.node;
    if (!node) return;
    node.classList.toggle("busy", on);
    for (const el of node.querySelectorAll("[data-custom-id]")) {
      el.classList.toggle("pending", on && el.dataset.customId === customId);
      el.setAttribute("aria-busy", String(on && el.dataset.customId === customId));
    }
  }

  jumpTo(messageId) {
    const node = this.#entries.get(messageId)?.node;
    if (!node) return;
    node.scrollIntoView({ block: "center" });
    node.classList.add("flash");
    setTimeout(() => node.classList.remove("flash"), 1500);
  }

  toBottom() {
    this.#pinned = true;
    this.#missed = 0;
    this.#scrollDown();
    this.#paintJump();
    this.markRead();
  }

  markRead() {
    if (this.#channel && this.#pinned && !document.hidden) this.ctx.store.markRead(this.#channel);
  }

  get channel() {
    return this.#channel;
  }
  get pinned() {
    return this.#pinned;
  }

  #scrollDown() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
    // Only the reader's own move up unpins: content that grew meanwhile must not.
    if (near) this.#pinned = true;
    else if (scrollTop < this.#lastTop - 1) this.#pinned = false;
    this.#lastTop = scrollTop;
    if (this.#pinned) {
      this.#missed = 0;
      this.markRead();
    }
    this.#paintJump();
  }

  #paintJump() {
    this.jump.hidden = this.#pinned;
    const label = this.#missed ? `${this.#missed} new message${this.#missed > 1 ? "s" : ""}` : "Jump to present";
    this.jump.replaceChildren(label, icon("down"));
  }
}

function makeDivider(label, isNew) {
  return h("div", { class: `divider ${isNew ? "new" : ""}`, role: "separator", "aria-label": isNew ? "New messages" : label },
    h("span", { class: "divider-label" }, label), isNew && h("span", { class: "divider-new" }, "NEW"));
}

/** Make `parent` hold exactly `wanted`, moving as few nodes as possible. */
function patch(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let cursor = parent.firstChild;
  for (const node of wanted) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
}
