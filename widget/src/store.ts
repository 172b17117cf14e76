/**
 * What outlives a reload, in localStorage, by organisation and user: ids, and messages that could not be sent yet.
 *
 * Always read anew, as other tabs write it too.
 */

/** A message on its way: frozen as it was first sent, so that its key always stands for the same body. */
export interface Outgoing {
  key: string;
  body: { message: string; images?: string[]; [field: string]: unknown };
  /** Whether it has been tried: from then on the body stays as it is. */
  tried?: boolean;
}

export interface Saved {
  session?: string;
  queue?: Outgoing[];
  /** The newest message that was seen. */
  seen?: string;
  /** Whether a teammate has the conversation. */
  human?: boolean;
  /** When something was last said, in milliseconds. */
  at?: number;
}

export class Store {
  readonly key: string;
  #memory: Saved | null = null;

  constructor(orgId: string, userId: string) {
    this.key = `halo:${orgId}:${userId}`;
  }

  read(): Saved {
    if (this.#memory) return this.#memory;
    try {
      const found: unknown = JSON.parse(localStorage.getItem(this.key) ?? '{}');
      return found && typeof found === 'object' ? (found as Saved) : {};
    } catch {
      return {};
    }
  }

  write(changes: Saved): void {
    const saved = { ...this.read(), ...changes };
    try {
      localStorage.setItem(this.key, JSON.stringify(saved));
      this.#memory = null;
    } catch {
      // Storage is full or forbidden: what we know lasts as long as the page.
      this.#memory = saved;
    }
  }

  clear(): void {
    this.#memory = null;
    try {
      localStorage.removeItem(this.key);
    } catch {
      this.#memory = {};
    }
  }
}
