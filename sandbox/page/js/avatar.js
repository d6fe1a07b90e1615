// Faces without pictures: initials on a colour, and a card glyph for the bot.

import { h, mediaUrl } from "./dom.js";

const COLORS = ["#5865f2", "#3ba55c", "#c27c0e", "#d83c6b", "#8e5cd9", "#1f8b9e", "#b5533c"];

export function initials(name) {
  const words = String(name || "?").trim().split(/[\s_.-]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[1][0] : (words[0] || "?").slice(0, 1);
  return letters.toUpperCase();
}

function colorFor(id) {
  let sum = 0;
  for (const c of String(id)) sum = (sum * 31 + c.charCodeAt(0)) % 9973;
  return COLORS[sum % COLORS.length];
}

export function avatar(user, cls = "") {
  if (user?.bot) return h("span", { class: `avatar bot ${cls}`, "aria-hidden": "true" }, h("img", { src: "icon.svg", alt: "" }));
  const url = mediaUrl(user?.avatar_url);
  const name = user?.global_name || user?.username;
  return h("span", { class: `avatar ${cls}`, "aria-hidden": "true", vars: { "--face": colorFor(user?.id || "0") } },
    url ? h("img", { src: url, alt: "" }) : initials(name));
}

export const appTag = () => h("span", { class: "app-tag" }, "APP");
