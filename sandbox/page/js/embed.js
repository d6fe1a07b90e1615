// Rich embeds: colour bar, author, title, description, fields, image, footer.

import { colorOf, h, link, mediaUrl, safeHref } from "./dom.js";
import { fullDate, headerTime } from "./clock.js";
import { inlineMarkdown, markdown } from "./markdown_view.js";
import { picture } from "./media.js";

export function embedNode(embed, ctx) {
  const color = colorOf(embed.color);
  const body = h("div", { class: "embed-body" },
    authorNode(embed.author),
    titleNode(embed, ctx),
    embed.description && markdown(embed.description, ctx, "embed-description"),
    embed.fields?.length > 0 && fieldsNode(embed.fields, ctx),
    embed.image && picture(embed.image, { alt: embed.image.description || embed.title || "", cls: "embed-image" }),
    footerNode(embed));
  return h("article", { class: "embed", vars: color ? { "--bar": color } : {} },
    body,
    embed.thumbnail && picture(embed.thumbnail, { alt: embed.thumbnail.description || "", cls: "embed-thumbnail" }));
}

const smallIcon = (url) => mediaUrl(url) && h("img", { class: "embed-icon", src: mediaUrl(url), alt: "" });

function authorNode(author) {
  if (!author?.name) return null;
  const href = safeHref(author.url);
  return h("div", { class: "embed-author" }, smallIcon(author.icon_url),
    href ? link(href, null, author.name) : h("span", null, author.name));
}

function titleNode(embed, ctx) {
  if (!embed.title) return null;
  const href = safeHref(embed.url);
  const content = inlineMarkdown(embed.title, ctx);
  return h("div", { class: "embed-title" }, href ? link(href, null, content) : content);
}

/** Up to three consecutive inline fields share a row. */
function fieldsNode(fields, ctx) {
  const rows = [];
  for (const field of fields) {
    const row = rows.at(-1);
    if (field.inline && row?.inline && row.cells.length < 3) row.cells.push(field);
    else rows.push({ inline: field.inline, cells: [field] });
  }
  return h("div", { class: "embed-fields" }, rows.map((row) =>
    h("div", { class: "embed-row", dataset: { columns: String(row.cells.length) } }, row.cells.map((field) =>
      h("div", { class: "embed-field" },
        h("div", { class: "embed-field-name" }, inlineMarkdown(field.name, ctx)),
        markdown(field.value, ctx, "embed-field-value"))))));
}

function footerNode(embed) {
  if (!embed.footer?.text && !embed.timestamp) return null;
  const date = embed.timestamp ? new Date(embed.timestamp) : null;
  const time = date && !Number.isNaN(date.getTime())
    ? h("time", { datetime: embed.timestamp, title: fullDate(date) }, headerTime(date)) : null;
  return h("footer", { class: "embed-footer" }, smallIcon(embed.footer?.icon_url),
    h("span", null, embed.footer?.text, embed.footer?.text && time && " • ", time));
}
