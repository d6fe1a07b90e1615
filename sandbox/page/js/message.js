// One message, from header to footer.

import { h, icon } from "./dom.js";
import { appTag, avatar } from "./avatar.js";
import { clockTime, fullDate, headerTime } from "./clock.js";
import { componentsNode, referencedMedia } from "./components.js";
import { embedNode } from "./embed.js";
import { markdown } from "./markdown_view.js";
import { attachments } from "./media.js";

export const FLAG = { SUPPRESS_EMBEDS: 4, EPHEMERAL: 64, LOADING: 128 };
const GROUP_MS = 7 * 60 * 1000;
const JOIN = 7;

const has = (message, flag) => Boolean((message.flags || 0) & flag);

/** Whether `message` continues `previous` under one header. */
export function continues(previous, message) {
  return Boolean(previous) && previous.author.id === message.author.id && previous.type !== JOIN && message.type !== JOIN
    && !usedCommand(message) && !message.message_reference && !message.referenced_message && has(previous, FLAG.EPHEMERAL) === has(message, FLAG.EPHEMERAL)
    && !has(message, FLAG.EPHEMERAL)
    && new Date(message.timestamp) - new Date(previous.timestamp) < GROUP_MS;
}

function usedCommand(message) {
  const meta = message.interaction_metadata;
  const name = message.interaction?.name || meta?.name;
  if (!name || (meta && meta.type !== undefined && meta.type !== 2)) return null;
  return { name, user: meta?.user || message.interaction?.user, chat: (meta?.command_type ?? 1) === 1 && message.type !== 23 };
}

export function messageNode(message, ctx, { compact = false } = {}) {
  const date = new Date(message.timestamp);
  if (message.type === JOIN) {
    return h("div", { class: "message system", role: "article", dataset: { id: message.id } },
      h("span", { class: "gutter" }, icon("send")),
      h("div", { class: "message-body" }, h("strong", null, ctx.store.displayName(message.author)), " joined the server. ", timeNode(date)));
  }
  const ephemeral = has(message, FLAG.EPHEMERAL);
  const used = usedCommand(message);
  const mine = mentionsMe(message, ctx.store);
  return h("div", {
    class: `message ${compact ? "compact" : "full"} ${ephemeral ? "ephemeral" : ""} ${mine ? "mentioned" : ""}`,
    role: "article", tabindex: "-1", dataset: { id: message.id, author: message.author.id },
    "aria-label": `${ctx.store.displayName(message.author)}, ${fullDate(date)}`,
  },
  used ? usedHeader(used, ctx) : replyHeader(message, ctx),
  compact
    ? h("span", { class: "gutter-time", "aria-hidden": "true" }, clockTime(date))
    : h("span", { class: "gutter" }, avatar(message.author)),
  h("div", { class: "message-body" },
    !compact && h("div", { class: "message-head" },
      authorNode(message.author, ctx),
      message.author.bot && appTag(),
      timeNode(date)),
    contentNode(message, ctx),
    ephemeral && footerNode(message, ctx)),
  toolbar(message, ctx));
}

function authorNode(user, ctx) {
  const items = ctx.userActions(user);
  const name = ctx.store.displayName(user);
  if (!items.length) return h("span", { class: "author" }, name);
  return h("button", { class: "author", type: "button", on: { click: (event) => ctx.openMenu(event.currentTarget, name, items) } }, name);
}

function timeNode(date) {
  if (Number.isNaN(date.getTime())) return null;
  return h("time", { class: "message-time", datetime: date.toISOString(), title: fullDate(date) }, headerTime(date));
}

function contentNode(message, ctx) {
  const box = h("div", { class: "message-content" });
  if (message.local_error) {
    box.append(h("p", { class: "interaction-error" }, icon("warn"), message.local_error));
    return box;
  }
  if (has(message, FLAG.LOADING)) {
    box.append(h("p", { class: "thinking", role: "status" },
      h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      `${ctx.store.displayName(message.author)} is thinking…`));
    return box;
  }
  const edited = message.edited_timestamp
    ? h("span", { class: "edited", title: fullDate(new Date(message.edited_timestamp)) }, "(edited)") : null;
  if (message.content) {
    const text = markdown(message.content, ctx);
    const last = text.lastElementChild;
    if (edited) (last?.tagName === "P" ? last : text).append(" ", edited);
    box.append(text);
  }
  for (const node of attachments(message.attachments || [], referencedMedia(message))) if (node) box.append(node);
  if (!has(message, FLAG.SUPPRESS_EMBEDS)) for (const embed of message.embeds || []) box.append(embedNode(embed, ctx));
  if (message.components?.length) box.append(componentsNode(message.components, ctx, message));
  if (edited && !message.content) box.append(h("div", { class: "edited-line" }, edited));
  const failure = ctx.store.failures.get(message.id);
  box.append(h("p", { class: "interaction-error", role: "status", hidden: !failure }, icon("warn"), h("span", { class: "failure-text" }, failure)));
  return box;
}

function usedHeader(used, ctx) {
  return h("div", { class: "reply-line" },
    h("span", { class: "reply-spine", "aria-hidden": "true" }),
    avatar(used.user, "tiny"),
    h("span", { class: "reply-author" }, ctx.store.displayName(used.user)),
    " used ",
    used.chat
      ? h("button", { class: "used-command", type: "button", on: { click: () => ctx.startCommand(used.name) } }, `/${used.name}`)
      : h("span", { class: "used-command" }, used.name));
}

function replyHeader(message, ctx) {
  const reference = message.message_reference?.message_id;
  const target = message.referenced_message || (reference && ctx.store.message(message.channel_id, reference));
  if (!target) return null;
  return h("button", { class: "reply-line", type: "button", on: { click: () => ctx.jumpTo(target.id) } },
    h("span", { class: "reply-spine", "aria-hidden": "true" }),
    avatar(target.author, "tiny"),
    h("span", { class: "reply-author" }, ctx.store.displayName(target.author)),
    h("span", { class: "reply-text" }, target.content ? target.content.slice(0, 120) : "Click to see the card"));
}

function footerNode(message, ctx) {
  return h("div", { class: "ephemeral-note" }, icon("eye"), "Only you can see this •",
    h("button", { class: "text-button", type: "button", on: { click: () => ctx.store.dismiss(message) } }, "Dismiss message"));
}

function toolbar(message, ctx) {
  const items = ctx.messageActions(message);
  if (!items.length) return null;
  return h("div", { class: "message-tools" },
    h("button", { class: "icon-button", type: "button", "aria-label": "Apps", title: "Apps",
      on: { click: (event) => ctx.openMenu(event.currentTarget, "Apps", items) } }, icon("apps")));
}

function mentionsMe(message, store) {
  const me = store.me?.id;
  if (!me || message.author.id === me) return false;
  return (message.mentions || []).some((user) => user.id === me) || Boolean(message.mention_everyone);
}
