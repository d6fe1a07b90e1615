// Entry point: loads the state, follows the event stream, connects the parts.

import { Api, ApiError, EventStream } from "./js/api.js";
import { startClock } from "./js/clock.js";
import { Composer } from "./js/composer.js";
import { clear, h, toast } from "./js/dom.js";
import { Interactions } from "./js/interactions.js";
import { MessageList } from "./js/message_list.js";
import { openModal } from "./js/modal.js";
import { openMenu } from "./js/popup.js";
import { Sidebar } from "./js/sidebar.js";
import { flatten, setChoiceLocale } from "./js/slash.js";
import { Store } from "./js/store.js";
import { Topbar, Typing } from "./js/topbar.js";

const PAGE = 50;
const MAX_PAGE = 200;
const POLL_MS = 3000;

const $ = (id) => document.getElementById(id);
const store = new Store();
const interactions = new Interactions();
let api = new Api(new URLSearchParams(location.search).get("user") || "");
let limit = PAGE;
let entryCache = null;
let list, composer, topbar, typing;

// -- actions that the views ask for ------------------------------------------
const ctx = {
  store, openMenu,
  get api() { return api; },
  /** Whether there may be messages before the oldest of `count` shown. */
  mayHaveEarlier: (count) => count >= limit && limit < MAX_PAGE,
  entries() {
    entryCache ||= flatten(store.commands, { inDm: !store.channels.get(store.current)?.guild_id, locale: store.me?.locale });
    return entryCache;
  },
  openChannel, openBotDm, toggleDrawer,
  startCommand: (path) => composer.startCommand(path),
  jumpTo: (id) => list.jumpTo(id),
  async loadEarlier() {
    limit = Math.min(limit + PAGE, MAX_PAGE);
    await loadMessages(store.current);
  },
  userActions: (user) => contextItems(2, user.id),
  messageActions: (message) => (message.local || store.isEphemeral(message) ? [] : contextItems(3, message.id)),

  async interact(message, customId, values) {
    store.failures.delete(message.id);
    store.emit("failure", { messageId: message.id });
    list.setPending(message.id, customId, true);
    const release = () => list.setPending(message.id, customId, false);
    try {
      const { interaction_id: id } = await api.component(message.id, customId, values);
      interactions.track(id, {
        channelId: message.channel_id, messageId: message.id, onDone: release,
        onFail: (text) => { release(); store.fail(message.id, text); },
      });
    } catch (error) {
      release();
      store.fail(message.id, wordsOf(error));
    }
  },

  async sendSlash(entry, options) {
    const channelId = store.current;
    try {
      const { interaction_id: id } = await api.slash(channelId, entry.name, entry.subcommand, options);
      list.toBottom();
      followCommand(id, channelId, [entry.name, entry.subcommand].filter(Boolean).join(" "), 2);
      return null;
    } catch (error) {
      return wordsOf(error);
    }
  },

  async sendText(content) {
    try {
      const message = await api.send(store.current, content);
      if (message?.id) store.put(message);
      list.toBottom();
      return null;
    } catch (error) {
      return wordsOf(error);
    }
  },

  async submitModal(interactionId, values) {
    try {
      const { interaction_id: id } = (await api.modal(interactionId, values)) || {};
      if (!id) return null;
      return await new Promise((resolve) => interactions.track(id, {
        channelId: store.current, anyUpdateIn: store.current, onDone: () => resolve(null),
        onFail: () => resolve("Something went wrong. Try again."),
      }));
    } catch (error) {
      return wordsOf(error);
    }
  },
};

function wordsOf(error) {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "This page hit an unexpected error; the browser console has the details.";
}

function followCommand(id, channelId, name, type) {
  interactions.track(id, {
    channelId, onDone: () => {},
    onFail: (text) => store.addLocal(channelId, { local_error: text, interaction_metadata: { id, type: 2, name, user: store.me, command_type: type === 2 ? 1 : type } }),
  });
}

/** Menu entries for the bot's user (2) or message (3) commands. */
function contextItems(type, targetId) {
  return store.commands.filter((c) => c.type === type).map((command) => ({
    label: command.name,
    onPick: async () => {
      const channelId = store.current;
      try {
        const answer = await api.contextMenu(channelId, command.name, targetId);
        if (answer?.interaction_id) followCommand(answer.interaction_id, channelId, command.name, type);
      } catch (error) {
        toast(wordsOf(error));
      }
    },
  }));
}

// -- channels ------------------------------------------------------------------
function toggleDrawer(open) {
  const on = document.body.classList.toggle("drawer", open);
  topbar?.menuButton.setAttribute("aria-expanded", String(on));
  if (on) document.querySelector(".channel.selected")?.focus();
}

async function openChannel(id, { keepDrawer = false } = {}) {
  if (!store.channels.has(id)) {
    toast("That channel is not visible to you.");
    return;
  }
  const moved = store.guildOf(store.current) !== store.guildOf(id) || !store.current;
  store.current = id;
  entryCache = null;
  limit = PAGE;
  history.replaceState(null, "", `?user=${encodeURIComponent(store.me.id)}#${id}`);
  store.emit("channel");
  list.show(id);
  composer.show(id);
  if (!keepDrawer) toggleDrawer(false);
  await Promise.all([loadMessages(id), moved ? loadCommands() : null]);
  if (store.current !== id) return;
  list.markRead();
  if (matchMedia("(pointer: fine)").matches && !document.body.classList.contains("drawer")) composer.focus();
}

async function openBotDm() {
  try {
    const channel = await api.openDm();
    await refreshState();
    await openChannel(channel.id);
  } catch (error) {
    toast(wordsOf(error));
  }
}

async function loadMessages(id) {
  if (!id) return;
  const since = performance.now();
  try {
    store.fill(id, await api.messages(id, limit), since);
  } catch (error) {
    toast(`Messages could not be loaded. ${wordsOf(error)}`);
  }
}

async function loadCommands() {
  try {
    store.commands = await api.commands(store.guildOf(store.current)?.id);
    entryCache = null;
    store.emit("commands");
  } catch (error) {
    console.warn("Commands could not be loaded", error);
  }
}

async function refreshState() {
  const wasReady = store.ready;
  store.applyState(await api.state());
  document.documentElement.lang = store.me.locale || "en";
  setChoiceLocale(store.me.locale);
  if (store.ready && !wasReady) await loadCommands();
}

// -- events --------------------------------------------------------------------
const handlers = {
  MESSAGE_CREATE(message) {
    if (store.message(message.channel_id, message.id)) {
      store.put(message);
      return;
    }
    typing.stop(message.channel_id, message.author?.id);
    interactions.messageChanged(message);
    const visible = message.channel_id === store.current && !document.hidden && list.pinned;
    store.put(message);
    if (!visible && message.author?.id !== store.me.id) store.bumpUnread(message.channel_id);
  },
  MESSAGE_UPDATE(message) {
    interactions.messageChanged(message);
    if (store.message(message.channel_id, message.id)) store.put(message);
  },
  MESSAGE_DELETE({ channel_id: channelId, id, message_id: other }) {
    store.remove(channelId || store.current, id || other);
  },
  TYPING({ channel_id: channelId, user_id: userId, user }) {
    typing.start(channelId, userId || user?.id || store.bot?.id);
  },
  MODAL(modal) {
    interactions.settle(modal.interaction_id);
    openModal(modal, ctx);
  },
  INTERACTION_FAILED({ interaction_id: id, message }) {
    interactions.settle(id, message || "This interaction failed");
  },
  async BOT_READY() {
    await refreshState();
    await loadCommands();
  },
  BOT_GONE() {
    store.ready = false;
    store.emit("state");
  },
  COMMANDS_CHANGED: loadCommands,
  CHANNEL_CREATE: refreshState,
};

async function onEvent(type, data) {
  try {
    await handlers[type]?.(data);
  } catch (error) {
    console.error(`Event ${type} could not be shown`, error);
  }
}

async function onOpen(again) {
  topbar.setOffline(false);
  if (!again) return;
  try {
    await refreshState();
    await Promise.all([loadMessages(store.current), loadCommands()]);
  } catch (error) {
    toast(wordsOf(error));
  }
}

// -- start ---------------------------------------------------------------------
function splash(text) {
  clear($("messages"), h("div", { class: "splash", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), text));
}

async function firstState() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await api.state();
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && api.user) {
        // An address from an earlier sandbox: begin as its first member.
        api = new Api("");
        continue;
      }
      splash(`${wordsOf(error)} Trying again…`);
      await new Promise((done) => setTimeout(done, Math.min(5000, 500 * 2 ** attempt)));
    }
  }
}

function firstChannel() {
  const wanted = location.hash.slice(1);
  if (store.channels.has(wanted)) return wanted;
  const all = store.guilds.flatMap((guild) => guild.channels || []);
  return (all.find((c) => c.name === "market") || all.find((c) => (c.type ?? 0) === 0) || store.dms[0])?.id || null;
}

async function main() {
  startClock();
  const state = await firstState();
  api = new Api(state.me.id);
  document.documentElement.lang = state.me.locale || "en";
  setChoiceLocale(state.me.locale);
  const sidebar = new Sidebar({ rail: $("rail"), sidebar: $("sidebar"), members: $("members") }, ctx);
  topbar = new Topbar($("topbar"), $("banner"), $("members"), ctx);
  composer = new Composer($("dock"), ctx);
  typing = new Typing(composer.typing, ctx);
  list = new MessageList($("messages"), ctx);
  store.applyState(state);
  sidebar.paint();
  $("scrim").addEventListener("click", () => toggleDrawer(false));
  document.addEventListener("keydown", (event) => event.key === "Escape" && toggleDrawer(false));
  new EventStream(api.user, { onEvent, onOpen, onLost: () => topbar.setOffline(true) }).start();
  const first = firstChannel();
  if (first) await openChannel(first);
  else splash("No channel is visible to you yet.");
  // The stream announces readiness; this covers an announcement missed while connecting.
  setInterval(() => {
    if (!store.ready && !document.hidden) refreshState().catch((error) => console.warn("State could not be refreshed", error));
  }, POLL_MS);
}

main();
