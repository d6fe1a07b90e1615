// Modals that a bot opens: text inputs, labels, selects, radio groups, checkboxes.

import { clear, h, icon, toast, uid } from "./dom.js";
import { avatar } from "./avatar.js";
import { readFile } from "./files.js";
import { markdown } from "./markdown_view.js";
import { selectMenu, SELECT_TYPES } from "./select.js";

/**
 * @param {{interaction_id: string, title: string, components: object[]}} modal
 * @param {object} ctx {store, submitModal(interactionId, values) -> Promise<string|null>}
 *   submitModal resolves to null when the bot took it, else to the words to show.
 */
export function openModal(modal, ctx) {
  for (const old of document.querySelectorAll("dialog.modal")) old.close();
  const fields = [];
  const body = (modal.components || []).map((component) => topLevel(component, ctx, fields));
  const problem = h("p", { class: "modal-error", role: "alert", hidden: true });
  const submit = h("button", { class: "button primary", type: "submit" }, h("span", { class: "button-content" }, "Submit"),
    h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")));
  const titleId = uid("modal");
  const form = h("form", { method: "dialog", novalidate: true },
    h("div", { class: "modal-head" },
      avatar(ctx.store.bot, "medium"),
      h("h2", { id: titleId }, modal.title),
      h("button", { class: "icon-button", type: "button", "aria-label": "Close", on: { click: () => dialog.close() } }, icon("close"))),
    problem,
    h("div", { class: "modal-fields" }, body),
    h("p", { class: "modal-note" }, icon("warn"), "This form is submitted to the app. Do not share passwords here."),
    h("div", { class: "modal-foot" },
      h("button", { class: "button secondary", type: "button", on: { click: () => dialog.close() } }, "Cancel"), submit));
  const dialog = h("dialog", { class: "modal", "aria-labelledby": titleId }, form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    let firstBad = null;
    for (const field of fields) {
      const error = field.validate();
      field.showError(error);
      if (error) firstBad ||= field;
    }
    if (firstBad) {
      firstBad.focus();
      return;
    }
    submit.disabled = true;
    submit.classList.add("pending");
    problem.hidden = true;
    let error;
    try {
      const pairs = await Promise.all(fields.map(async (field) => [field.id, await field.value()]));
      error = await ctx.submitModal(modal.interaction_id, Object.fromEntries(pairs));
    } catch (failure) {
      error = failure.message;
    }
    submit.disabled = false;
    submit.classList.remove("pending");
    if (!error) {
      dialog.close();
      return;
    }
    clear(problem, error);
    problem.hidden = false;
    if (!dialog.isConnected) toast(error);
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  fields[0]?.focus();
}

function topLevel(component, ctx, fields) {
  if (component.type === 10) return markdown(component.content, ctx, "text-display");
  if (component.type === 1) return (component.components || []).map((child) => control(child, child.label, null, ctx, fields));
  if (component.type === 18) return control(component.component || {}, component.label, component.description, ctx, fields);
  return control(component, component.label, null, ctx, fields);
}

function control(component, label, description, ctx, fields) {
  const built = build(component, label, ctx);
  const required = component.required ?? (component.type !== 23);
  const error = h("span", { class: "field-error", id: uid("error") });
  const labelId = uid("label");
  const isGroup = component.type === 21 || component.type === 22 || component.type === 23;
  built.element.setAttribute(isGroup ? "aria-labelledby" : "aria-describedby", isGroup ? labelId : error.id);
  fields.push({
    id: component.custom_id, value: built.value, focus: built.focus,
    validate: () => built.validate(required),
    showError(text) {
      clear(error, text && ` – ${text}`);
      built.element.toggleAttribute("data-invalid", Boolean(text));
      built.element.setAttribute("aria-invalid", String(Boolean(text)));
    },
  });
  return h("div", { class: "field" },
    h("label", { class: "field-label", id: labelId, for: built.inputId },
      label, required && component.type !== 23 && h("span", { class: "required", "aria-label": "required" }, " *"), error),
    description && h("p", { class: "field-description" }, description),
    built.element, built.counter);
}

function build(component, label, ctx) {
  if (component.type === 4) return textInput(component);
  if (SELECT_TYPES.has(component.type)) {
    const menu = selectMenu(component, { store: ctx.store, label });
    const min = component.min_values ?? 1;
    return {
      element: menu.element, value: menu.values, focus: () => menu.element.focus(),
      validate: (required) => {
        const count = menu.values().length;
        if (required && !count) return "This field is required";
        return count && count < min ? `Choose at least ${min}` : null;
      },
    };
  }
  if (component.type === 21 || component.type === 22) return choiceGroup(component);
  if (component.type === 23) {
    const input = h("input", { type: "checkbox", checked: component.default, id: uid("check") });
    return { element: h("span", { class: "check-row" }, input), inputId: input.id, value: () => input.checked, focus: () => input.focus(), validate: () => null };
  }
  if (component.type === 19) return fileUpload(component);
  return {
    element: h("div", { class: "unsupported" }, "This kind of field is not shown by this sandbox."),
    value: () => [], focus: () => {}, validate: () => null,
  };
}

function textInput(component) {
  const paragraph = component.style === 2;
  const max = component.max_length ?? 4000;
  const input = h(paragraph ? "textarea" : "input", {
    id: uid("input"), class: "text-input", placeholder: component.placeholder, maxlength: max,
    type: paragraph ? undefined : "text", rows: paragraph ? 4 : undefined, autocomplete: "off", name: component.custom_id,
  });
  input.value = component.value || "";
  const counter = component.max_length ? h("div", { class: "field-counter", "aria-hidden": "true" }) : null;
  const count = () => counter && clear(counter, `${input.value.length}/${max}`);
  input.addEventListener("input", count);
  count();
  return {
    element: input, counter, inputId: input.id, value: () => input.value, focus: () => input.focus(),
    validate: (required) => {
      const length = input.value.trim().length;
      if (!length) return required ? "This field is required" : null;
      const min = component.min_length || 0;
      if (input.value.length < min) return `Must be at least ${min} characters`;
      return input.value.length > max ? `Must be at most ${max} characters` : null;
    },
  };
}

function fileUpload(component) {
  const most = component.max_values ?? 1;
  const input = h("input", { type: "file", id: uid("file"), class: "file-input", multiple: most > 1 });
  return {
    element: input, inputId: input.id, focus: () => input.focus(),
    value: () => Promise.all([...input.files].map(readFile)),
    validate: (required) => {
      const count = input.files.length;
      if (!count) return required ? "Choose a file" : null;
      if (count < (component.min_values ?? 1)) return `Choose at least ${component.min_values} files`;
      return count > most ? `Choose at most ${most} file${most > 1 ? "s" : ""}` : null;
    },
  };
}

function choiceGroup(component) {
  const single = component.type === 21;
  const name = uid("group");
  const inputs = (component.options || []).map((option) =>
    h("input", { type: single ? "radio" : "checkbox", name, value: option.value, checked: option.default }));
  const element = h("div", { class: "choice-group", role: single ? "radiogroup" : "group" }, (component.options || []).map((option, i) =>
    h("label", { class: "choice" }, inputs[i], h("span", null, option.label,
      option.description && h("span", { class: "select-option-description" }, option.description)))));
  const picked = () => inputs.filter((input) => input.checked).map((input) => input.value);
  return {
    element, focus: () => inputs[0]?.focus(), value: () => (single ? picked()[0] ?? null : picked()),
    validate: (required) => {
      const count = picked().length;
      if (required && !count) return "Choose an option";
      if (!single && count && count < (component.min_values || 0)) return `Choose at least ${component.min_values}`;
      return !single && component.max_values && count > component.max_values ? `Choose at most ${component.max_values}` : null;
    },
  };
}
