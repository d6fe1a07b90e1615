// Channel header with the badge, the notice or connection banner, and the typing line.

import { h, icon, repaint } from "./dom.js";
import { avatar } from "./avatar.js";

const TYPING_MS = 10000;

export class Topbar {
  #offline = false;

  constructor(bar, banner, members, ctx) {
    Object.assign(this, { bar, banner, members, ctx });
    this.menuButton = h("button", { class: "icon-button menu-button", type: "button", "aria-label": "Servers and channels", dataset: { focus: "menu" }, "aria-expanded": "false",
      on: { click: () => ctx.toggleDrawer() } }, icon("menu"), (this.dot = h("span", { class: "menu-dot", hidden: true })));
    this.membersButton = h("button", { class: "icon-button members-button", type: "button", "aria-label": "Member list", dataset: { focus: "members" }, title: "Member list",
      on: { click: () => this.#toggleMembers() } }, icon("people"));
    this.members.hidden = !matchMedia("(min-width: 1180px)").matches;
    for (const event of ["state", "channel", "unread"]) ctx.store.on(event, () => this.paint());
  }

  #toggleMembers() {
    this.members.hidden = !this.members.hidden;
    this.membersButton.setAttribute("aria-pressed", String(!this.members.hidden));
  }

  setOffline(offline) {
    this.#offline = offline;
    this.paint();
  }

  paint() {
    const { store } = this.ctx;
    const channel = store.channels.get(store.current);
    const name = store.channelName(channel);
    const total = store.totalUnread();
    const peer = channel && !channel.guild_id ? store.channelPeer(channel) : null;
    this.dot.hidden = total === 0;
    this.membersButton.hidden = !channel?.guild_id;
    repaint(this.bar, [channel?.id, name, channel?.topic, store.badge, store.notice], () => [this.menuButton,
      channel && (peer ? avatar(peer.id === store.bot?.id ? { ...peer, bot: true } : peer, "small") : icon("hash", "channel-icon")),
      h("h2", { class: "topbar-name" }, name),
      channel?.topic && h("p", { class: "topbar-topic", title: channel.topic }, channel.topic),
      h("span", { class: "topbar-space" }),
      store.badge && h("span", { class: "badge", title: store.notice || "Nothing here comes from a real market or account." }, store.badge),
      this.membersButton]);
    document.title = `${total ? `(${total}) ` : ""}${channel?.guild_id ? "#" : ""}${name || "GPUScout"} · sandbox`;
    const text = this.#offline ? "Connection lost. Reconnecting…" : store.notice || "";
    this.banner.classList.toggle("offline", this.#offline);
    this.banner.hidden = !text;
    if (this.banner.textContent !== text) this.banner.textContent = text;
  }
}

export class Typing {
  #active = new Map();

  constructor(line, ctx) {
    this.line = line;
    this.ctx = ctx;
    ctx.store.on("channel", () => this.paint());
  }

  start(channelId, userId) {
    if (!userId || userId === this.ctx.store.me.id) return;
    const key = `${channelId}|${userId}`;
    clearTimeout(this.#active.get(key)?.timer);
    this.#active.set(key, { channelId, userId, timer: setTimeout(() => this.stop(channelId, userId), TYPING_MS) });
    this.paint();
  }

  stop(channelId, userId) {
    const key = `${channelId}|${userId}`;
    clearTimeout(this.#active.get(key)?.timer);
    if (this.#active.delete(key)) this.paint();
  }

  paint() {
    const { store } = this.ctx;
    const names = [...this.#active.values()].filter((t) => t.channelId === store.current).map((t) => store.displayName(store.users.get(t.userId)));
    this.line.replaceChildren();
    if (!names.length) return;
    this.line.append(h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      h("strong", null, names.join(", ")), names.length > 1 ? " are typing…" : " is typing…");
  }
}
