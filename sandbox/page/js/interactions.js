// Follows what a member started until the bot answers it, fails it, or a pause has passed.

const SETTLE_MS = 4000;

export class Interactions {
  #pending = new Map();
  #settled = new Map();

  /**
   * @param {string} id interaction id
   * @param {{messageId?: string, channelId: string, onDone: () => void, onFail: (text: string) => void}} handlers
   */
  track(id, handlers) {
    if (this.#settled.has(id)) {
      const failure = this.#settled.get(id);
      if (failure) handlers.onFail(failure);
      else handlers.onDone();
      return;
    }
    // An acknowledgement that changes nothing visible is not announced, so stop waiting in the end.
    const timer = setTimeout(() => handlers.onDone(), SETTLE_MS);
    this.#pending.set(id, { ...handlers, timer });
    // A slow bot can still fail later; remember the handlers for the answer deadline.
    setTimeout(() => this.#pending.delete(id), 30000);
  }

  settle(id, failure = null) {
    if (!id) return;
    const entry = this.#pending.get(id);
    if (!entry) {
      this.#settled.set(id, failure);
      setTimeout(() => this.#settled.delete(id), 15000);
      return;
    }
    this.#pending.delete(id);
    clearTimeout(entry.timer);
    if (failure) entry.onFail(failure);
    else entry.onDone();
  }

  messageChanged(message) {
    this.settle(message.interaction_metadata?.id || message.interaction?.id);
    for (const [id, entry] of this.#pending) {
      if (entry.messageId === message.id || (entry.anyUpdateIn && entry.anyUpdateIn === message.channel_id)) this.settle(id);
    }
  }
}
