// Images, galleries, files and the lightbox.

import { h, icon, link, mediaUrl } from "./dom.js";

const IMAGE = /\.(png|jpe?g|gif|webp|avif)$/i;

export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1048576) return `${(bytes / 1024).toFixed(1)} KB`;
  return `${(bytes / 1048576).toFixed(2)} MB`;
}

export function isImage(attachment) {
  return /^image\/(?!svg)/.test(attachment.content_type || "") || (!attachment.content_type && IMAGE.test(attachment.filename || ""));
}

const fileName = (url) => decodeURIComponent((url || "").split("?")[0].split("/").pop() || "file");

/**
 * A picture that opens in the lightbox.
 * @param {{url: string, width?: number, height?: number}} media
 * @param {{alt?: string, spoiler?: boolean, cls?: string}} [options]
 */
export function picture(media, { alt = "", spoiler = false, cls = "" } = {}) {
  const url = mediaUrl(media?.url) || mediaUrl(media?.proxy_url);
  if (!url) return h("div", { class: `picture broken ${cls}` }, alt || "Image unavailable");
  const img = h("img", { src: url, alt: alt || "Image", width: media.width || undefined, height: media.height || undefined, decoding: "async" });
  const frame = h("button", { class: `picture ${cls}`, type: "button", "aria-label": `Open image${alt ? `: ${alt}` : ""}` }, img);
  img.addEventListener("error", () => {
    frame.replaceWith(h("div", { class: `picture broken ${cls}`, role: "img", "aria-label": alt || "Image" },
      icon("warn"), h("span", null, alt || "This image could not be loaded.")));
  });
  if (spoiler) frame.classList.add("spoilered");
  frame.addEventListener("click", () => {
    if (frame.classList.contains("spoilered")) frame.classList.remove("spoilered");
    else openLightbox(url, alt);
  });
  return frame;
}

export function gallery(items) {
  const shown = items.slice(0, 10);
  return h("div", { class: `gallery count-${Math.min(shown.length, 5)}` },
    shown.map((item) => picture(item.media, { alt: item.description || "", spoiler: item.spoiler })));
}

export function fileCard({ url, name, size }) {
  const href = mediaUrl(url);
  const title = name || fileName(url);
  return h("div", { class: "file-card" },
    icon("file", "file-icon"),
    h("div", { class: "file-text" },
      href ? link(href, { class: "file-name" }, title) : h("span", { class: "file-name" }, title),
      Number.isFinite(size) && h("div", { class: "file-size" }, fileSize(size))),
    href && h("a", { class: "icon-button", href, download: title, "aria-label": `Download ${title}` }, icon("download")));
}

/** Attachments that no embed or component shows already. */
export function attachments(list, referenced) {
  const loose = list.filter((a) => !referenced.has(a.url) && !referenced.has(a.id));
  const pictures = loose.filter(isImage);
  const files = loose.filter((a) => !isImage(a));
  return [
    pictures.length > 0 && h("div", { class: "attachments" }, gallery(pictures.map((a) => ({
      media: a, description: a.description || a.filename, spoiler: /^SPOILER_/.test(a.filename || ""),
    })))),
    ...files.map((a) => fileCard({ url: a.url, name: a.filename, size: a.size })),
  ];
}

export function openLightbox(url, alt) {
  const dialog = h("dialog", { class: "lightbox", "aria-label": alt || "Image" },
    h("div", { class: "lightbox-frame" },
      h("img", { src: url, alt: alt || "Image" }),
      h("div", { class: "lightbox-bar" },
        h("p", { class: "lightbox-alt" }, alt),
        link(url, { class: "lightbox-open" }, "Open in browser", icon("external")))),
    h("button", { class: "lightbox-close icon-button", type: "button", "aria-label": "Close image", on: { click: () => dialog.close() } }, icon("close")));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
