// Markdown tree -> DOM nodes.

import { h, link } from "./dom.js";
import { formatStyle, fullDate } from "./clock.js";
import { parse, parseInline } from "./markdown.js";

const ONLY_EMOJI = /^(?:\s|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F|\u200D)+$/u;

/**
 * @param {string} text
 * @param {object} ctx names and actions: {store, openChannel(id), startCommand(path)}
 * @returns {HTMLElement} a div.markdown
 */
export function markdown(text, ctx, cls = "") {
  const root = h("div", { class: `markdown ${cls}` });
  for (const block of parse(text)) root.append(blockNode(block, ctx));
  if (text && text.length < 60 && ONLY_EMOJI.test(text)) root.classList.add("jumbo");
  return root;
}

/** One line of Markdown (embed titles and field names). */
export function inlineMarkdown(text, ctx) {
  return parseInline(String(text ?? "")).map((node) => inlineNode(node, ctx));
}

const inlines = (nodes, ctx) => nodes.map((node) => inlineNode(node, ctx));

function blockNode(block, ctx) {
  switch (block.type) {
    case "heading":
      return h(`h${block.level + 2}`, { class: `md-h${block.level}` }, inlines(block.children, ctx));
    case "subtext":
      return h("small", { class: "md-subtext" }, inlines(block.children, ctx));
    case "quote":
      return h("div", { class: "md-quote" },
        h("div", { class: "md-quote-bar" }),
        h("blockquote", null, block.children.map((child) => blockNode(child, ctx))));
    case "list":
      return listNode(block, ctx);
    case "fence":
      return h("pre", { class: "md-fence", tabindex: "0" },
        h("code", { dataset: block.language ? { language: block.language } : {} }, block.text));
    default:
      return h("p", null, inlines(block.children, ctx));
  }
}

function listNode(list, ctx) {
  return h(list.ordered ? "ol" : "ul", list.ordered && list.start !== 1 ? { start: list.start } : null,
    list.items.map((item) => h("li", null, inlines(item.children, ctx), item.lists.map((sub) => listNode(sub, ctx)))));
}

function inlineNode(node, ctx) {
  switch (node.type) {
    case "text": return document.createTextNode(node.text);
    case "strong": return h("strong", null, inlines(node.children, ctx));
    case "em": return h("em", null, inlines(node.children, ctx));
    case "u": return h("u", null, inlines(node.children, ctx));
    case "s": return h("s", null, inlines(node.children, ctx));
    case "code": return h("code", { class: "md-code" }, node.text);
    case "spoiler": return spoiler(inlines(node.children, ctx));
    case "link":
      return link(node.href, { title: node.title || (node.masked ? node.href : undefined) }, inlines(node.children, ctx));
    case "time": return timeNode(node);
    case "everyone": return h("span", { class: "mention" }, node.text);
    case "emoji": return h("span", { class: "custom-emoji" }, `:${node.name}:`);
    case "role": return h("span", { class: "mention" }, "@role");
    case "user": {
      const user = ctx.store.users.get(node.id);
      return h("span", { class: "mention", title: user?.username }, user ? `@${ctx.store.displayName(user)}` : "@unknown-user");
    }
    case "channel": {
      const channel = ctx.store.channels.get(node.id);
      if (!channel) return h("span", { class: "mention" }, "#unknown");
      return h("button", { class: "mention", type: "button", on: { click: () => ctx.openChannel(node.id) } }, `#${channel.name}`);
    }
    case "command":
      return h("button", { class: "mention command-mention", type: "button", on: { click: () => ctx.startCommand(node.name) } }, `/${node.name}`);
    default: return document.createTextNode("");
  }
}

function timeNode(node) {
  const text = formatStyle(node.seconds, node.style);
  if (text === null) return document.createTextNode(node.raw);
  const date = new Date(node.seconds * 1000);
  return h("time", {
    class: "timestamp", datetime: date.toISOString(), title: fullDate(date),
    dataset: node.style === "R" ? { relative: String(node.seconds) } : {},
  }, text);
}

function spoiler(children) {
  const reveal = (event) => {
    const el = event.currentTarget;
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    if (el.classList.contains("open")) return;
    event.preventDefault();
    event.stopPropagation();
    el.classList.add("open");
    el.removeAttribute("role");
    el.removeAttribute("aria-label");
  };
  return h("span", { class: "spoiler", role: "button", tabindex: "0", "aria-label": "Spoiler, press to show", on: { click: reveal, keydown: reveal } },
    h("span", { class: "spoiler-text" }, children));
}
