// The parts of a command pill: a text input that grows, and a file chooser.

import { h, uid } from "./dom.js";
import { readFile } from "./files.js";

/**
 * A combobox input as wide as its text. `input.resize()` after setting its value.
 * @param {string} label
 * @param {{onKey(event), onChange(typed: boolean), onLeave()}} handlers
 */
export function pillInput(label, { onKey, onChange, onLeave }) {
  const input = h("input", {
    type: "text", class: "pill-input", id: uid("option"), "aria-label": label, role: "combobox", "aria-autocomplete": "list",
    "aria-expanded": "false", autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "send",
  });
  input.resize = () => input.style.setProperty("width", `${Math.max(1, input.value.length) + 1}ch`);
  input.addEventListener("input", () => {
    input.resize();
    onChange(true);
  });
  input.addEventListener("focus", () => onChange(false));
  // Wait until the next control has the focus.
  input.addEventListener("blur", () => setTimeout(onLeave, 0));
  input.addEventListener("keydown", (event) => !event.isComposing && onKey(event));
  input.resize();
  return input;
}

export function pill(option, input) {
  const element = h("div", { class: `pill ${option.required ? "" : "optional"}`, dataset: { option: option.name } },
    h("label", { class: "pill-name", for: input.id }, option.label), input);
  element.addEventListener("pointerdown", (event) => {
    if (event.target === input) return;
    event.preventDefault();
    input.focus();
  });
  return element;
}

/** Make a field take a file instead of text; returns the hidden file input. */
export function filePicker(field, { onFile, onError }) {
  field.input.readOnly = true;
  field.input.placeholder = "choose…";
  const file = h("input", { type: "file", hidden: true });
  field.input.addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      onFile({ name: chosen.name, value: await readFile(chosen) });
    } catch (error) {
      onError(error.message);
    }
  });
  field.pill.append(file);
  return file;
}
