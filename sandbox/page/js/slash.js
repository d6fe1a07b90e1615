// The slash-command model: flattening, matching, reading typed options, typing values. No DOM.

export const TYPE = { SUB: 1, GROUP: 2, STRING: 3, INTEGER: 4, BOOLEAN: 5, USER: 6, CHANNEL: 7, ROLE: 8, MENTIONABLE: 9, NUMBER: 10, ATTACHMENT: 11 };
const DM_CONTEXT = 1;

const local = (object, field, locale) => object[`${field}_localizations`]?.[locale] || object[field];

/**
 * Every command that can be typed, subcommands as entries of their own.
 * @returns {{path: string, name: string, subcommand: string|null, description: string, options: object[], id: string}[]}
 */
export function flatten(commands, { inDm = false, locale = "en-US" } = {}) {
  const entries = [];
  for (const command of commands) {
    if ((command.type ?? 1) !== 1) continue;
    if (inDm && (command.dm_permission === false || (command.contexts && !command.contexts.includes(DM_CONTEXT)))) continue;
    const walk = (node, names, subs) => {
      const options = node.options || [];
      const children = options.filter((o) => o.type === TYPE.SUB || o.type === TYPE.GROUP);
      if (children.length) {
        for (const child of children) walk(child, [...names, local(child, "name", locale)], [...subs, child.name]);
        return;
      }
      entries.push({
        path: names.join(" "), name: command.name, subcommand: subs.length ? subs.join(" ") : null, id: command.id,
        description: local(node, "description", locale) || "",
        options: options.map((o) => ({ ...o, label: local(o, "name", locale), description: local(o, "description", locale) || "" })),
      });
    };
    walk(command, [local(command, "name", locale)], []);
  }
  return entries.sort((a, b) => a.path.localeCompare(b.path));
}

/** Entries that fit what stands after "/", best first. */
export function match(entries, query) {
  const q = query.trim().toLowerCase();
  const rank = (entry) => {
    const path = entry.path.toLowerCase();
    if (path === q) return 0;
    if (path.startsWith(q)) return 1;
    if (path.split(" ").some((word) => word.startsWith(q))) return 2;
    if (path.includes(q)) return 3;
    return q.length > 2 && entry.description.toLowerCase().includes(q) ? 4 : 9;
  };
  return entries.map((entry) => [rank(entry), entry]).filter(([r]) => r < 9).sort((a, b) => a[0] - b[0]).map(([, entry]) => entry);
}

/** The longest command whose whole name and a space start the text, with the rest. */
export function typedCommand(entries, text) {
  if (!text.startsWith("/")) return null;
  const body = text.slice(1);
  let best = null;
  for (const entry of entries) {
    const head = `${entry.path} `;
    if (body.toLowerCase().startsWith(head.toLowerCase()) && (!best || entry.path.length > best.entry.path.length)) {
      best = { entry, rest: body.slice(head.length) };
    }
  }
  return best;
}

/** Exact command by path, e.g. from a mention or a suggestion without options. */
export function byPath(entries, path) {
  return entries.find((entry) => entry.path === path)
    || entries.find((entry) => [entry.name, entry.subcommand].filter(Boolean).join(" ") === path) || null;
}

/** "gpu:RTX 4090 platform:vast" -> {gpu: "RTX 4090", platform: "vast"}; leading free text goes to the first option. */
export function readArguments(entry, rest) {
  const names = new Map(entry.options.flatMap((o) => [[o.name.toLowerCase(), o.name], [o.label.toLowerCase(), o.name]]));
  const marks = [...rest.matchAll(/(^|\s)([\p{L}\p{N}_-]+):/gu)].filter((m) => names.has(m[2].toLowerCase()));
  const values = {};
  const lead = rest.slice(0, marks.length ? marks[0].index : rest.length).trim();
  if (lead && entry.options.length) values[entry.options[0].name] = lead;
  marks.forEach((m, i) => {
    const end = i + 1 < marks.length ? marks[i + 1].index : rest.length;
    values[names.get(m[2].toLowerCase())] = rest.slice(m.index + m[0].length, end).trim();
  });
  return values;
}

function span(low, high, unit) {
  const hasLow = low !== undefined && low !== null;
  const hasHigh = high !== undefined && high !== null;
  if (hasLow && hasHigh) return `${low} to ${high}${unit}`;
  if (hasLow) return `at least ${low}${unit}`;
  return hasHigh ? `at most ${high}${unit}` : "";
}

/** What a person should know about an option's limits, or "". */
export function limits(option) {
  if (option.type === TYPE.STRING) return span(option.min_length || null, option.max_length, " characters");
  if (option.type !== TYPE.INTEGER && option.type !== TYPE.NUMBER) return "";
  const kind = option.type === TYPE.INTEGER ? "whole number" : "number";
  return [kind, span(option.min_value, option.max_value, "")].filter(Boolean).join(", ");
}

/**
 * The typed value of one option as the client would send it.
 * @returns {{value: *}|{error: string}}
 */
export function coerce(option, text, picked, people) {
  if (picked) return { value: picked.value };
  const typed = text.trim();
  if (option.choices?.length) {
    const found = option.choices.find((c) => choiceName(c).toLowerCase() === typed.toLowerCase());
    return found ? { value: found.value } : { error: "Pick one of the listed choices" };
  }
  switch (option.type) {
    case TYPE.INTEGER:
    case TYPE.NUMBER: {
      const number = Number(typed.replace(",", "."));
      if (!Number.isFinite(number) || (option.type === TYPE.INTEGER && !Number.isInteger(number))) return { error: `Enter a ${option.type === TYPE.INTEGER ? "whole number" : "number"}` };
      if (number < (option.min_value ?? -Infinity) || number > (option.max_value ?? Infinity)) return { error: `Enter a ${limits(option)}` };
      return { value: number };
    }
    case TYPE.BOOLEAN:
      if (/^(true|false)$/i.test(typed)) return { value: typed.toLowerCase() === "true" };
      return { error: "Choose True or False" };
    case TYPE.USER:
    case TYPE.CHANNEL:
    case TYPE.ROLE:
    case TYPE.MENTIONABLE: {
      const found = people.find((p) => p.name.toLowerCase() === typed.toLowerCase().replace(/^[@#]/, ""));
      if (found) return { value: found.value };
      return /^\d{17,20}$/.test(typed) ? { value: typed } : { error: "Pick one from the list, or enter an id" };
    }
    case TYPE.ATTACHMENT:
      return { error: "Choose a file" };
    default: {
      const shortest = option.min_length || 0;
      const longest = option.max_length ?? 6000;
      if (typed.length < shortest || typed.length > longest) return { error: `Enter ${limits(option)}` };
      return { value: typed };
    }
  }
}

let choiceLocale = "en-US";
export function setChoiceLocale(locale) {
  choiceLocale = locale || "en-US";
}
export function choiceName(choice) {
  return choice.name_localizations?.[choiceLocale] || choice.name;
}
