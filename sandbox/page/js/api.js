// The user side of the sandbox: JSON over HTTP and a pushed event stream.

const TIMEOUT_MS = 12000;

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

async function request(method, path, body, signal) {
  const limits = [AbortSignal.timeout(TIMEOUT_MS)];
  if (signal) limits.push(signal);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any ? AbortSignal.any(limits) : signal || limits[0],
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The sandbox server did not answer. Is it still running?", 0);
  }
  const text = await response.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(`The sandbox server sent an unreadable answer (${response.status}).`, response.status);
  }
  if (!response.ok) {
    throw new ApiError(data?.error || data?.message || `The sandbox server refused (${response.status}).`, response.status);
  }
  return data;
}

const query = (params) => new URLSearchParams(Object.entries(params).filter(([, v]) => v)).toString();

/** Calls bound to one user. `user` may be "" before the first state is known. */
export class Api {
  constructor(user) {
    this.user = user;
  }
  state() {
    return request("GET", `/sandbox/state?${query({ user: this.user })}`);
  }
  commands(guildId) {
    return request("GET", `/sandbox/commands?${query({ user: this.user, guild_id: guildId })}`);
  }
  messages(channelId, limit) {
    return request("GET", `/sandbox/channels/${channelId}/messages?${query({ user: this.user, limit })}`);
  }
  #act(action, body, signal) {
    return request("POST", `/sandbox/users/${this.user}/${action}`, body, signal);
  }
  slash(channelId, name, subcommand, options) {
    return this.#act("slash", { channel_id: channelId, name, subcommand, options });
  }
  autocomplete(channelId, name, subcommand, focused, options, signal) {
    return this.#act("autocomplete", { channel_id: channelId, name, subcommand, focused, options }, signal);
  }
  contextMenu(channelId, name, targetId) {
    return this.#act("context_menu", { channel_id: channelId, name, target_id: targetId });
  }
  component(messageId, customId, values) {
    return this.#act("component", { message_id: messageId, custom_id: customId, ...(values ? { values } : {}) });
  }
  modal(interactionId, values) {
    return this.#act("modal", { interaction_id: interactionId, values });
  }
  send(channelId, content) {
    return this.#act("messages", { channel_id: channelId, content });
  }
  openDm() {
    return this.#act("dm", {});
  }
}

/**
 * Event stream that reconnects with full-jitter backoff (0.5 s doubling to 15 s).
 * onOpen(isReconnect) runs after every connect: events may have been missed.
 */
export class EventStream {
  #attempt = 0;
  #opened = false;
  #closed = false;
  #socket = null;
  #timer = null;

  constructor(user, { onEvent, onOpen, onLost }) {
    Object.assign(this, { user, onEvent, onOpen, onLost });
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/sandbox/events?${query({ user: this.user })}`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#attempt = 0;
      this.onOpen(this.#opened);
      this.#opened = true;
    });
    socket.addEventListener("message", (event) => {
      let payload;
      try {
        payload = JSON.parse(event.data);
      } catch {
        console.warn("Unreadable event from the sandbox", event.data);
        return;
      }
      this.onEvent(payload.t, payload.d || {});
    });
    socket.addEventListener("close", () => {
      if (this.#closed) return;
      this.onLost();
      const ceiling = Math.min(15000, 500 * 2 ** this.#attempt);
      this.#attempt += 1;
      this.#timer = setTimeout(() => this.start(), ceiling / 2 + Math.random() * (ceiling / 2));
    });
  }

  stop() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }
}
