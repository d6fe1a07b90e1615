// Message components, the classic rows and Components V2.

import { colorOf, h, icon, link, safeHref } from "./dom.js";
import { markdown } from "./markdown_view.js";
import { fileCard, gallery, picture } from "./media.js";
import { emojiNode, selectMenu, SELECT_TYPES } from "./select.js";

const BUTTON_STYLE = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "primary" };

export function componentsNode(components, ctx, message) {
  return h("div", { class: "components" }, components.map((c) => componentNode(c, ctx, message)));
}

/** Addresses that the components show, so that they are not listed as attachments again. */
export function referencedMedia(message) {
  const found = new Set();
  const visit = (value) => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (value && typeof value === "object") {
      if (typeof value.url === "string") found.add(value.url);
      if (typeof value.attachment_id === "string") found.add(value.attachment_id);
      Object.values(value).forEach(visit);
    }
  };
  visit(message.components || []);
  visit(message.embeds || []);
  return found;
}

export function componentNode(component, ctx, message) {
  const again = (list) => (list || []).map((child) => componentNode(child, ctx, message));
  switch (component.type) {
    case 1: return h("div", { class: "action-row" }, again(component.components));
    case 2: return buttonNode(component, ctx, message);
    case 9:
      return h("div", { class: "section" },
        h("div", { class: "section-text" }, again(component.components)),
        component.accessory && h("div", { class: "section-accessory" }, componentNode(component.accessory, ctx, message)));
    case 10: return markdown(component.content, ctx, "text-display");
    case 11: return picture(component.media, { alt: component.description || "", spoiler: component.spoiler, cls: "thumbnail" });
    case 12: return gallery(component.items || []);
    case 13: return fileCard({ url: component.file?.url, name: component.name, size: component.size });
    case 14:
      return h("hr", { class: `separator ${component.divider === false ? "blank" : ""} ${component.spacing === 2 ? "wide" : ""}` });
    case 17: return containerNode(component, again);
    default:
      if (SELECT_TYPES.has(component.type)) {
        return h("div", { class: "select-wrap" }, selectMenu(component, {
          store: ctx.store,
          onCommit: (values) => ctx.interact(message, component.custom_id, values),
        }).element);
      }
      return h("div", { class: "unsupported" }, `Component type ${component.type} is not shown by this sandbox.`);
  }
}

function containerNode(component, again) {
  const accent = colorOf(component.accent_color);
  const box = h("div", { class: `container ${accent ? "accented" : ""}`, vars: accent ? { "--bar": accent } : {} }, again(component.components));
  if (!component.spoiler) return box;
  box.inert = true;
  const cover = h("button", { class: "container-cover", type: "button", on: { click: () => { box.inert = false; cover.remove(); } } }, "Spoiler");
  return h("div", { class: "container-spoiler" }, box, cover);
}

function buttonNode(component, ctx, message) {
  const style = BUTTON_STYLE[component.style] || "secondary";
  const content = [emojiNode(component.emoji), component.label && h("span", { class: "button-label" }, component.label)];
  const name = component.label || component.emoji?.name || "Button";
  if (component.style === 5) {
    const href = safeHref(component.url);
    if (href && !component.disabled) return link(href, { class: "button link", "aria-label": `${name} (opens in a new tab)` }, content, icon("external"));
    return h("button", { class: "button link", type: "button", disabled: true }, content, icon("external"));
  }
  if (component.style === 6) {
    return h("button", { class: "button primary", type: "button", disabled: true, title: "Purchases are not simulated here" }, content.some(Boolean) ? content : "Upgrade");
  }
  return h("button", {
    class: `button ${style}`, type: "button", disabled: component.disabled, "aria-label": component.label ? undefined : name,
    dataset: { customId: component.custom_id },
    on: { click: () => ctx.interact(message, component.custom_id) },
  }, h("span", { class: "button-content" }, content), h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")));
}
