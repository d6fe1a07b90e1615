// What this page knows: people, channels, messages, commands. Emits named events.

const EPHEMERAL = 64;

/** Order of snowflakes as decimal strings; null sorts first. */
export function compareIds(a, b) {
  const x = String(a || ""), y = String(b || "");
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

export class Store extends EventTarget {
  me = null;
  bot = null;
  ready = false;
  badge = null;
  notice = null;
  welcome = "";
  suggestions = [];
  users = new Map();
  guilds = [];
  dms = [];
  channels = new Map();
  commands = [];
  current = null;
  failures = new Map();
  #messages = new Map();
  #unread = new Map();
  #arrived = new WeakMap();

  on(type, fn) {
    this.addEventListener(type, (event) => fn(event.detail));
  }
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  applyState(state) {
    this.me = state.me;
    this.bot = state.bot || null;
    this.ready = Boolean(state.ready);
    this.badge = state.badge || null;
    this.notice = state.notice || null;
    this.welcome = state.welcome || "";
    this.suggestions = state.suggestions || [];
    this.guilds = state.guilds || [];
    this.dms = state.dms || [];
    this.users = new Map((state.users || []).map((user) => [user.id, user]));
    if (this.bot) this.users.set(this.bot.id, { ...this.bot, bot: true });
    this.users.set(this.me.id, this.me);
    this.channels = new Map();
    for (const guild of this.guilds) {
      for (const channel of guild.channels || []) this.channels.set(channel.id, { ...channel, guild_id: guild.id });
    }
    for (const dm of this.dms) this.channels.set(dm.id, { ...dm, guild_id: null });
    this.#restoreUnread();
    this.emit("state");
  }

  // -- names -------------------------------------------------------------
  displayName(user) {
    return user?.global_name || user?.username || "Unknown user";
  }
  channelName(channel) {
    if (!channel) return "";
    if (channel.guild_id) return channel.name || "channel";
    const other = (channel.recipients || []).find((user) => user.id !== this.me.id);
    return this.displayName(other || this.bot) || channel.name;
  }
  channelPeer(channel) {
    return (channel.recipients || []).find((user) => user.id !== this.me.id) || this.bot;
  }
  guildOf(channelId) {
    const id = this.channels.get(channelId)?.guild_id;
    return this.guilds.find((guild) => guild.id === id) || null;
  }
  botDm() {
    return this.dms.find((dm) => this.channelPeer(dm)?.id === this.bot?.id) || null;
  }

  // -- messages ----------------------------------------------------------
  list(channelId) {
    const found = [...(this.#messages.get(channelId)?.values() || [])];
    return found.sort((a, b) => compareIds(a.sortId || a.id, b.sortId || b.id) || Number(!!a.local) - Number(!!b.local));
  }
  message(channelId, id) {
    return this.#messages.get(channelId)?.get(id) || null;
  }
  /** Replace a channel's messages by a fetched list; what was pushed after `since` is newer than it. */
  fill(channelId, messages, since = Infinity) {
    const fresh = new Map();
    for (const message of messages) if (!this.isDismissed(message.id)) fresh.set(message.id, message);
    for (const message of this.list(channelId)) {
      if (message.local || (this.#arrived.get(message) ?? -1) >= since) fresh.set(message.id, message);
    }
    this.#messages.set(channelId, fresh);
    this.emit("messages", { channelId });
  }
  put(message) {
    if (this.isDismissed(message.id)) return;
    const channelId = message.channel_id;
    let box = this.#messages.get(channelId);
    if (!box) this.#messages.set(channelId, (box = new Map()));
    const known = box.get(message.id);
    // A gateway-style partial update keeps what it does not mention.
    const stored = known ? { ...known, ...message } : message;
    box.set(message.id, stored);
    this.#arrived.set(stored, performance.now());
    if (known) this.failures.delete(message.id);
    this.emit("messages", { channelId, message, fresh: !known });
  }
  remove(channelId, id) {
    this.#messages.get(channelId)?.delete(id);
    this.failures.delete(id);
    this.emit("messages", { channelId });
  }
  isEphemeral(message) {
    return Boolean((message.flags || 0) & EPHEMERAL);
  }
  #dismissedKey = () => `sandbox.dismissed.${this.me.id}`;
  #dismissed() {
    try {
      return new Set(JSON.parse(sessionStorage.getItem(this.#dismissedKey()) || "[]"));
    } catch {
      return new Set();
    }
  }
  isDismissed(id) {
    return this.#dismissed().has(id);
  }
  dismiss(message) {
    const ids = [...this.#dismissed(), message.id].slice(-200);
    sessionStorage.setItem(this.#dismissedKey(), JSON.stringify(ids));
    this.remove(message.channel_id, message.id);
  }
  /** A note that only this page shows, e.g. a command the bot never answered. */
  addLocal(channelId, fields) {
    const last = this.list(channelId).at(-1);
    const id = `local-${Date.now()}-${Math.round(Math.random() * 1e6)}`;
    this.put({
      id, channel_id: channelId, sortId: last ? last.sortId || last.id : "0", local: true, flags: EPHEMERAL,
      author: this.bot || { id: "0", username: "App", bot: true }, content: "", timestamp: new Date().toISOString(), ...fields,
    });
  }
  fail(messageId, text) {
    this.failures.set(messageId, text);
    this.emit("failure", { messageId });
  }

  // -- unread ------------------------------------------------------------
  #readKey = () => `sandbox.read.${this.me.id}`;
  #readMarks() {
    try {
      return JSON.parse(localStorage.getItem(this.#readKey()) || "{}");
    } catch {
      return {};
    }
  }
  /** What came while this page was closed is unread; a first visit starts with everything read. */
  #restoreUnread() {
    const marks = this.#readMarks();
    const firstVisit = Object.keys(marks).length === 0;
    const kept = {};
    for (const channel of this.channels.values()) {
      const last = channel.last_message_id || "0";
      kept[channel.id] = marks[channel.id] ?? (firstVisit ? last : "0");
      if (compareIds(last, kept[channel.id]) > 0 && !this.#unread.has(channel.id)) this.#unread.set(channel.id, 1);
    }
    localStorage.setItem(this.#readKey(), JSON.stringify(kept));
  }
  unread(channelId) {
    return this.#unread.get(channelId) || 0;
  }
  totalUnread() {
    return [...this.#unread.values()].reduce((sum, n) => sum + n, 0);
  }
  readMark(channelId) {
    return this.#readMarks()[channelId] || null;
  }
  bumpUnread(channelId) {
    this.#unread.set(channelId, this.unread(channelId) + 1);
    this.emit("unread");
  }
  markRead(channelId) {
    const last = this.list(channelId).filter((m) => !m.local).at(-1);
    const marks = this.#readMarks();
    if (last && compareIds(last.id, marks[channelId]) > 0) {
      marks[channelId] = last.id;
      localStorage.setItem(this.#readKey(), JSON.stringify(marks));
    }
    if (this.#unread.delete(channelId)) this.emit("unread");
  }
}
