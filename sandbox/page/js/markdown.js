// Discord's Markdown as a tree. Pure: text in, plain objects out; no DOM here.
//
// Block nodes: paragraph, heading, subtext, quote, list, fence.
// Inline nodes: text, strong, em, u, s, spoiler, code, link, time, user, role,
// channel, command, everyone, emoji.

import { safeHref } from "./dom.js";

const MAX_DEPTH = 10;
const FENCE = /```(?:([A-Za-z0-9_+.#-]+)\n)?\n*([\s\S]*?)\n*```/y;
const LIST_ITEM = /^( *)([-*]|\d{1,4}\.) +(\S.*)$/;

const at = (regex, text, index) => {
  regex.lastIndex = index;
  return regex.exec(text);
};

/** Parse a whole message, embed description or text display. */
export function parse(text, depth = 0) {
  const source = String(text ?? "").replace(/\r\n?/g, "\n");
  const blocks = [];
  let plain = "";
  const flush = () => {
    const body = plain.replace(/\n$/, "");
    if (body !== "") blocks.push({ type: "paragraph", children: parseInline(body, depth) });
    plain = "";
  };
  let pos = 0;
  while (pos < source.length) {
    const eol = source.indexOf("\n", pos) === -1 ? source.length : source.indexOf("\n", pos);
    const line = source.slice(pos, eol);
    const next = Math.min(eol + 1, source.length);
    let m;
    if (depth < MAX_DEPTH && (m = /^ *>>> /.exec(line))) {
      flush();
      blocks.push({ type: "quote", children: parse(source.slice(pos + m[0].length), depth + 1) });
      return blocks;
    }
    if (depth < MAX_DEPTH && /^ *> /.test(line)) {
      flush();
      const quoted = takeLines(source, pos, (l) => /^ *>( |$)/.test(l));
      const inner = quoted.lines.map((l) => l.replace(/^ *> ?/, "")).join("\n");
      blocks.push({ type: "quote", children: parse(inner, depth + 1) });
      pos = quoted.end;
    } else if ((m = /^(#{1,3}) +(\S.*)$/.exec(line))) {
      flush();
      blocks.push({ type: "heading", level: m[1].length, children: parseInline(m[2], depth) });
      pos = next;
    } else if ((m = /^-# +(\S.*)$/.exec(line))) {
      flush();
      blocks.push({ type: "subtext", children: parseInline(m[1], depth) });
      pos = next;
    } else if (LIST_ITEM.test(line)) {
      flush();
      const items = takeLines(source, pos, (l) => LIST_ITEM.test(l));
      blocks.push(...buildLists(items.lines.map((l) => LIST_ITEM.exec(l)), depth));
      pos = items.end;
    } else {
      const tick = line.indexOf("```");
      const fence = tick === -1 ? null : at(FENCE, source, pos + tick);
      if (fence && fence[2] !== "") {
        plain += source.slice(pos, pos + tick);
        flush();
        blocks.push({ type: "fence", language: fence[1] || "", text: fence[2] });
        pos = FENCE.lastIndex + (source[FENCE.lastIndex] === "\n" ? 1 : 0);
      } else {
        plain += source.slice(pos, next);
        pos = next;
      }
    }
  }
  flush();
  return blocks;
}

function takeLines(source, pos, wanted) {
  const lines = [];
  let end = pos;
  while (end < source.length) {
    const stop = source.indexOf("\n", end);
    const line = source.slice(end, stop === -1 ? source.length : stop);
    if (!wanted(line)) break;
    lines.push(line);
    end = stop === -1 ? source.length : stop + 1;
  }
  return { lines, end };
}

function buildLists(matches, depth) {
  const roots = [];
  const stack = [];
  for (const [, spaces, bullet, body] of matches) {
    const indent = spaces.length;
    const ordered = /\d/.test(bullet);
    const item = { children: parseInline(body, depth), lists: [] };
    while (stack.length && stack.at(-1).indent > indent) stack.pop();
    let top = stack.at(-1);
    const deeper = top && indent > top.indent && stack.length < MAX_DEPTH;
    if (!top || deeper || top.list.ordered !== ordered) {
      if (top && !deeper) stack.pop();
      const list = { type: "list", ordered, start: ordered ? Number.parseInt(bullet, 10) : 1, items: [] };
      const parent = stack.at(-1);
      if (parent) parent.list.items.at(-1).lists.push(list);
      else roots.push(list);
      stack.push((top = { list, indent }));
    }
    top.list.items.push(item);
  }
  return roots;
}

// -- inline ------------------------------------------------------------------

const CODE = /(`+)([\s\S]*?[^`])\1(?!`)/y;
const TIME = /<t:(-?\d{1,13})(?::([tTdDfFRsS]))?>/y;
const MENTION = /<(@!?|@&|#)(\d{1,20})>/y;
const COMMAND = /<\/([^\s:<>][^:<>]{0,99}):(\d{1,20})>/y;
const EMOJI = /<a?:(\w{2,32}):\d{1,20}>/y;
const ANGLE_URL = /<(https?:\/\/[^\s<>]+)>/y;
const BARE_URL = /https?:\/\/[^\s<]+/y;
const EVERYONE = /@(everyone|here)\b/y;
// Longest first: "***" is bold inside italics.
const DELIMITERS = [
  ["***", "strong-em"], ["**", "strong"], ["__", "u"], ["~~", "s"], ["||", "spoiler"], ["*", "em"], ["_", "em"],
];

export function parseInline(text, depth = 0) {
  const out = [];
  let buffer = "";
  const push = (node) => {
    if (buffer) out.push({ type: "text", text: buffer });
    buffer = "";
    out.push(node);
  };
  let i = 0;
  while (i < text.length) {
    const node = SPECIAL.has(text[i]) ? special(text, i, depth) : null;
    if (!node) {
      buffer += text[i];
      i += 1;
    } else {
      if (node.literal !== undefined) buffer += node.literal;
      else push(node.node);
      i = node.end;
    }
  }
  if (buffer) out.push({ type: "text", text: buffer });
  return out;
}

const SPECIAL = new Set([..."\\`<[*_~|@h"]);

function special(text, i, depth) {
  const c = text[i];
  let m;
  if (c === "\\") {
    return /[^0-9A-Za-z\s]/.test(text[i + 1] || "") ? { literal: text[i + 1], end: i + 2 } : null;
  }
  if (c === "`") {
    m = at(CODE, text, i);
    return m && { node: { type: "code", text: m[2].replace(/^ (?=`)|(?<=`) $/g, "") }, end: CODE.lastIndex };
  }
  if (c === "<") return angle(text, i);
  if (c === "[") return maskedLink(text, i, depth);
  if (c === "@") {
    m = at(EVERYONE, text, i);
    return m && { node: { type: "everyone", text: m[0] }, end: EVERYONE.lastIndex };
  }
  if (c === "h") {
    m = at(BARE_URL, text, i);
    if (!m) return null;
    const url = trimUrl(m[0]);
    const href = safeHref(url);
    return href && { node: { type: "link", href, children: [{ type: "text", text: url }] }, end: i + url.length };
  }
  return depth < MAX_DEPTH ? emphasis(text, i, depth) : null;
}

function angle(text, i) {
  let m;
  if ((m = at(TIME, text, i))) return { node: { type: "time", seconds: Number(m[1]), style: m[2] || "f", raw: m[0] }, end: TIME.lastIndex };
  if ((m = at(MENTION, text, i))) {
    const type = m[1] === "#" ? "channel" : m[1] === "@&" ? "role" : "user";
    return { node: { type, id: m[2] }, end: MENTION.lastIndex };
  }
  if ((m = at(COMMAND, text, i))) return { node: { type: "command", name: m[1], id: m[2] }, end: COMMAND.lastIndex };
  if ((m = at(EMOJI, text, i))) return { node: { type: "emoji", name: m[1] }, end: EMOJI.lastIndex };
  if ((m = at(ANGLE_URL, text, i))) {
    const href = safeHref(m[1]);
    return href && { node: { type: "link", href, children: [{ type: "text", text: m[1] }] }, end: ANGLE_URL.lastIndex };
  }
  return null;
}

/** A bare address ends before sentence punctuation and before an unopened bracket. */
function trimUrl(url) {
  let out = url;
  for (;;) {
    const last = out.at(-1);
    const unopened = last === ")" && (out.match(/\(/g) || []).length < (out.match(/\)/g) || []).length;
    if (!unopened && !/[.,:;!?"'*_~|\]>]/.test(last)) return out;
    out = out.slice(0, -1);
  }
}

function maskedLink(text, i, depth) {
  let level = 0;
  let close = -1;
  for (let j = i; j < text.length && j < i + 1000; j += 1) {
    if (text[j] === "\\") j += 1;
    else if (text[j] === "[") level += 1;
    else if (text[j] === "]" && (level -= 1) === 0) {
      close = j;
      break;
    }
  }
  if (close === -1 || text[close + 1] !== "(") return null;
  const target = /\(\s*<?(https?:\/\/(?:[^\s()<>]|\([^\s()<>]*\))+)>?(?:\s+"([^"\n]*)")?\s*\)/y;
  const m = at(target, text, close + 1);
  const href = m && safeHref(m[1]);
  const label = text.slice(i + 1, close);
  // A label that is itself an address could pretend to lead elsewhere.
  if (!href || !label.trim() || /https?:\/\//i.test(label) || depth >= MAX_DEPTH) return null;
  const children = parseInline(label, MAX_DEPTH - 2).filter((node) => node.type !== "link");
  return { node: { type: "link", href, title: m[2] || "", masked: true, children }, end: target.lastIndex };
}

function emphasis(text, i, depth) {
  for (const [mark, type] of DELIMITERS) {
    if (!text.startsWith(mark, i)) continue;
    if (mark === "_" && /\w/.test(text[i - 1] || "")) continue;
    if ((mark === "*" || mark === "_") && /\s/.test(text[i + 1] || " ")) continue;
    const close = findClose(text, i + mark.length, mark);
    if (close === -1) continue;
    const inner = parseInline(text.slice(i + mark.length, close), depth + 1);
    const end = close + mark.length;
    if (type === "strong-em") return { node: { type: "em", children: [{ type: "strong", children: inner }] }, end };
    return { node: { type, children: inner }, end };
  }
  return null;
}

function findClose(text, from, mark) {
  for (let j = from; j < text.length; j += 1) {
    if (text[j] === "\\") {
      j += 1;
    } else if (text[j] === "`") {
      if (at(CODE, text, j)) j = CODE.lastIndex - 1;
    } else if (text.startsWith(mark, j) && j > from) {
      const c = mark[0];
      let run = mark.length;
      while (text[j + run] === c) run += 1;
      if (mark.length === 1 && run >= 2) {
        // "**" belongs to bold, unless three marks close both.
        if (run === 2) {
          j += 1;
          continue;
        }
        return j + run - 1;
      }
      if (mark.length === 1 && /\s/.test(text[j - 1]) ) continue;
      if (mark === "_" && /\w/.test(text[j + 1] || "")) continue;
      // Of "***" the outer pair closes last.
      return mark.length === 2 && run > 2 ? j + run - 2 : j;
    }
  }
  return -1;
}
