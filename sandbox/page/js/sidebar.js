// Server rail, channel list, user panel and member list.

import { h, icon, repaint } from "./dom.js";
import { appTag, avatar, initials } from "./avatar.js";
import { openPopup } from "./popup.js";

const VOICE_TYPES = new Set([2, 13]);
const CATEGORY = 4;

export class Sidebar {
  /** @param {object} ctx {store, openChannel(id), openBotDm(), closeDrawer()} */
  constructor({ rail, sidebar, members }, ctx) {
    Object.assign(this, { rail, sidebar, members, ctx });
    ctx.store.on("state", () => this.paint());
    ctx.store.on("unread", () => this.paint());
    ctx.store.on("channel", () => this.paint());
  }

  paint() {
    const { store } = this.ctx;
    if (!store.me) return;
    const guild = store.guildOf(store.current);
    this.#paintRail(guild);
    this.#paintChannels(guild);
    this.#paintMembers(guild);
  }

  #paintRail(guild) {
    const { store } = this.ctx;
    const dmUnread = store.dms.reduce((sum, dm) => sum + store.unread(dm.id), 0);
    const unreadGuilds = store.guilds.map((g) => [g.id, g.name, (g.channels || []).some((c) => store.unread(c.id))]);
    repaint(this.rail, [guild?.id, dmUnread, unreadGuilds, store.dms.length, store.botDm()?.id], () => this.#railItems(guild, dmUnread));
  }

  #railItems(guild, dmUnread) {
    const { store } = this.ctx;
    const home = this.#railButton("Direct messages", icon("chat"), !guild, dmUnread, dmUnread, () => {
      const dm = store.botDm() || store.dms[0];
      if (dm) this.ctx.openChannel(dm.id, { keepDrawer: true });
      else this.ctx.openBotDm();
    });
    const guilds = store.guilds.map((g) => {
      const unread = (g.channels || []).some((c) => store.unread(c.id));
      const first = this.#textChannels(g)[0];
      return this.#railButton(g.name, initials(g.name), g === guild, unread, 0, () => first && this.ctx.openChannel(first.id, { keepDrawer: true }));
    });
    return [home, h("div", { class: "rail-line", role: "presentation" }), guilds];
  }

  #railButton(name, face, selected, unread, count, onClick) {
    return h("div", { class: `rail-item ${selected ? "selected" : ""} ${unread ? "unread" : ""}` },
      h("span", { class: "rail-pill", "aria-hidden": "true" }),
      h("button", { class: "rail-button", type: "button", title: name, dataset: { focus: name }, "aria-current": selected ? "true" : undefined,
        "aria-label": unread ? `${name}, unread messages` : name, on: { click: onClick } }, face),
      count > 0 && h("span", { class: "count" }, count > 99 ? "99+" : String(count)));
  }

  #textChannels(guild) {
    return (guild.channels || []).filter((c) => !VOICE_TYPES.has(c.type) && c.type !== CATEGORY);
  }

  #paintChannels(guild) {
    const { store } = this.ctx;
    if (!this.head) {
      this.head = h("header", { class: "sidebar-head" });
      this.nav = h("nav", { class: "channels" });
      this.panel = h("div", { class: "user-panel" });
      this.sidebar.replaceChildren(this.head, this.nav, this.panel);
    }
    const name = guild ? guild.name : "Direct messages";
    repaint(this.head, name, () => h("h1", null, name));
    this.nav.setAttribute("aria-label", guild ? "Channels" : "Direct messages");
    const channels = guild ? this.#textChannels(guild) : store.dms;
    const key = [guild?.id, store.current, store.bot?.id, channels.map((c) => [c.id, store.channelName(store.channels.get(c.id)), store.unread(c.id)])];
    repaint(this.nav, key, () => [
      h("h2", { class: "channels-title" }, guild ? "Text channels" : "Direct messages"),
      guild ? channels.map((c) => this.#channelRow(c, icon("hash"), c.name)) : this.#dmRows()]);
    repaint(this.panel, store.me, () => this.#userButton());
  }

  #dmRows() {
    const { store } = this.ctx;
    const rows = store.dms.map((dm) => {
      const peer = store.channelPeer(dm);
      return this.#channelRow(dm, avatar(peer?.id === store.bot?.id ? store.bot && { ...store.bot, bot: true } : peer, "small"), store.channelName(dm));
    });
    if (!store.botDm() && store.bot) {
      rows.push(h("button", { class: "channel", type: "button", on: { click: () => this.ctx.openBotDm() } },
        avatar({ ...store.bot, bot: true }, "small"), h("span", { class: "channel-name" }, `Message ${store.displayName(store.bot)}`)));
    }
    return rows;
  }

  #channelRow(channel, lead, name) {
    const { store } = this.ctx;
    const selected = store.current === channel.id;
    const unread = selected ? 0 : store.unread(channel.id);
    const isDm = !store.channels.get(channel.id)?.guild_id;
    return h("button", {
      class: `channel ${selected ? "selected" : ""} ${unread ? "unread" : ""}`, type: "button", dataset: { channel: channel.id, focus: channel.id },
      "aria-current": selected ? "page" : undefined, "aria-label": unread ? `${name}, ${unread} unread` : name,
      on: { click: () => this.ctx.openChannel(channel.id) },
    }, lead, h("span", { class: "channel-name" }, name), isDm && unread > 0 && h("span", { class: "count" }, String(unread)));
  }

  #userButton() {
    const { store } = this.ctx;
    const button = h("button", { class: "user-button", type: "button", "aria-haspopup": "true", title: "Act as another member",
      on: { click: () => this.#openSwitcher(button) } },
    avatar(store.me, "medium"),
    h("span", { class: "user-text" }, h("span", { class: "user-name" }, store.displayName(store.me)), h("span", { class: "user-sub" }, "Switch member")),
    icon("swap"));
    return button;
  }

  #openSwitcher(anchor) {
    const { store } = this.ctx;
    const people = [...store.users.values()].filter((user) => !user.bot);
    const rows = people.map((user) => {
      const href = `?user=${encodeURIComponent(user.id)}${store.current ? `#${store.current}` : ""}`;
      const name = store.displayName(user);
      return h("div", { class: "switch-row" },
        h("a", { class: "menu-item", href, "aria-current": user.id === store.me.id ? "true" : undefined },
          avatar(user, "small"), h("span", { class: "switch-name" }, name), user.id === store.me.id && icon("check")),
        h("a", { class: "icon-button", href, target: "_blank", rel: "noopener", title: `Open as ${name} in a new window`, "aria-label": `Open as ${name} in a new window` }, icon("external")));
    });
    openPopup(anchor, h("div", { class: "menu" }, h("div", { class: "menu-title" }, "Act as"), rows), { matchWidth: true });
  }

  #paintMembers(guild) {
    const { store } = this.ctx;
    this.members.classList.toggle("none", !guild);
    if (!guild) return;
    const bot = store.bot && { ...store.bot, bot: true };
    const people = [...store.users.values()].filter((user) => !user.bot);
    const row = (user, offline) => h("div", { class: `member ${offline ? "offline" : ""}` },
      h("span", { class: `presence ${offline ? "off" : ""}` }, avatar(user, "medium")),
      h("span", { class: "member-name" }, store.displayName(user)), user.bot && appTag());
    repaint(this.members, [guild.id, store.ready, bot, people], () => [
      bot && h("h2", { class: "channels-title" }, store.ready ? "Apps — 1" : "Offline — 1"), bot && row(bot, !store.ready),
      h("h2", { class: "channels-title" }, `Members — ${people.length}`), people.map((user) => row(user, false)),
    ]);
  }
}
