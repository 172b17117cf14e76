/** What others say: the transcript after a reload, and a teammate's messages as they are written. */

import { Failure, backOff, type Api } from './api';
import type { Chat } from './chat';
import { shrink } from './images';
import { events } from './sse';
import type { Action, Citation, Line } from './types';

/** A message as the server shows it. */
interface Stored {
  id: string;
  role: 'visitor' | 'agent' | 'teammate' | 'system';
  name: string;
  text: string;
  created_at: string;
  turn_id: string | null;
  /** Of the visitor's own: `waiting` while its answer is being written. */
  state: string | null;
  citations: Citation[];
  actions: Action[];
  images: { id: number; url: string }[];
  rating: string | null;
}

interface Handler {
  role: string;
  name: string;
}

interface Transcript {
  messages: Stored[];
  more: boolean;
  handled_by?: Handler;
}

export interface LiveScreen {
  show(line: Line): void;
  arrived(line: Line, fresh: boolean): void;
  typing(name: string | null): void;
  changed(): void;
  closed(): void;
  isOpen(): boolean;
}

// A connection is held open only where something may come soon; else the server is asked now and then.
const LIVELY = 5 * 60_000;
const POLL = 2 * 60_000;
const TYPING = 6000;
// The server gives a sign of life every 15 seconds.
const SILENCE = 40_000;

export class Live {
  name = '';
  #connection: AbortController | null = null;
  #held: Stored[] = [];
  /** The session whose conversation was closed, or is not ours: nothing more comes in it. */
  #over = '';
  #gone = false;
  #attempt = 0;
  #poll: ReturnType<typeof setInterval>;
  #typingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Api,
    private readonly chat: Chat,
    private readonly screen: LiveScreen,
  ) {
    this.#poll = setInterval(() => {
      if (!this.#connection && !document.hidden && chat.session) void this.catchUp(true);
    }, POLL);
  }

  /** Reads the whole transcript; an unknown session is forgotten. */
  async restore(): Promise<void> {
    if (this.chat.session) await this.catchUp(false);
    this.chat.resume();
    this.look();
  }

  /** Whether a connection should stand now, and sees to it. */
  look(): void {
    const { session, human, at = 0 } = this.chat.store.read();
    const wanted = !this.#gone && !document.hidden && !!session && session !== this.#over
      && (this.screen.isOpen() || human || Date.now() - at < LIVELY);
    if (wanted && !this.#connection) void this.#listen(session ?? '');
    else if (!wanted) this.#hangUp();
  }

  /** The session is another, or nobody's any more. */
  restart(): void {
    this.#hangUp();
    this.#held = [];
    this.look();
  }

  stop(): void {
    this.#gone = true;
    clearInterval(this.#poll);
    this.#hangUp();
  }

  #hangUp(): void {
    this.#connection?.abort();
    this.#connection = null;
  }

  async #listen(session: string): Promise<void> {
    const mine = new AbortController();
    const { signal } = mine;
    this.#connection = mine;
    let wait = 0;
    try {
      const response = await this.api.send(`sessions/${session}/events`, {
        session, signal, headers: { Accept: 'text/event-stream' },
      });
      // What was said while nobody listened; what is said twice is shown once.
      await this.catchUp(true);
      for await (const sent of events(response, SILENCE)) {
        this.#attempt = 0;
        if (signal.aborted) return;
        this.#told(sent.event, sent.data, session);
      }
    } catch (error) {
      if (error instanceof Failure) {
        wait = error.retryAfter;
        // Refused for good: only what is said next makes it worth another try.
        if (!error.passes) this.#over = session;
      }
    }
    await backOff(this.#attempt++, wait);
    if (this.#connection !== mine) return;
    this.#connection = null;
    this.look();
  }

  #told(event: string, data: unknown, session: string): void {
    if (event === 'message') {
      this.#typing(null);
      this.#take(data as Stored, true);
    } else if (event === 'typing') {
      this.#typing((data as Handler).name);
    } else if (event === 'takeover') {
      this.#handled(data as Handler);
    } else if (event === 'closed') {
      this.#over = session;
      this.#handled({ role: 'agent', name: '' });
      this.screen.closed();
    }
  }

  #handled({ role, name }: Handler): void {
    const human = role === 'teammate';
    if (this.name === name && !!this.chat.store.read().human === human) return;
    this.name = name;
    this.chat.store.write({ human });
    this.screen.changed();
  }

  #typing(name: string | null): void {
    clearTimeout(this.#typingTimer);
    this.screen.typing(name);
    if (name !== null) this.#typingTimer = setTimeout(() => this.screen.typing(null), TYPING);
  }

  /** What was said behind the last message that is known. */
  async catchUp(fresh: boolean): Promise<void> {
    const { session } = this.chat;
    try {
      // Ids are in the order of time.
      let last = this.chat.lines.reduce((newest, { id = '' }) => (id > newest ? id : newest), '');
      for (let more = true; more; ) {
        const told = await this.api.json<Transcript>(
          `sessions/${session}/messages${last ? `?after=${last}` : ''}`, { session },
        );
        if (session !== this.chat.session) return;
        for (const message of told.messages) this.#take(message, fresh);
        if (told.handled_by) this.#handled(told.handled_by);
        last = told.messages[told.messages.length - 1]?.id ?? last;
        more = told.more && told.messages.length > 0;
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Expired, or not ours any more: what is written next begins a new one.
      if (error.status === 404 && session === this.chat.session) this.chat.store.write({ session: undefined });
    }
  }

  /** Messages that waited for an answer to be whole. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const message of held) this.#take(message, true);
  }

  #take(message: Stored, fresh: boolean): void {
    const { chat } = this;
    const known = chat.lines.find((line) => line.id === message.id);
    if (known) {
      if (message.rating && known.rating !== message.rating) {
        known.rating = message.rating;
        this.screen.show(known);
      }
      return;
    }
    if (message.role === 'visitor') {
      // Written here a moment ago, before it had an id.
      const ours = chat.lines.find((line) => line.role === 'user' && !line.id && line.text === message.text);
      if (ours) {
        Object.assign(ours, { id: message.id, state: ours.state === 'failed' ? 'failed' : undefined });
        this.screen.show(ours);
        return;
      }
    } else if (chat.isWriting) {
      // It may be the very answer that is being written.
      this.#held.push(message);
      return;
    }
    if (message.role === 'system' && chat.isSaid(message.text)) return;
    const line: Line = {
      id: message.id, role: message.role === 'visitor' ? 'user' : message.role, text: message.text,
      at: new Date(message.created_at), name: message.name,
      citations: message.citations, actions: message.actions, rating: message.rating ?? undefined,
    };
    chat.add(line);
    void this.#pictures(line, message);
    if (line.role !== 'user') this.screen.arrived(line, fresh);
    else if (message.state === 'waiting' && message.turn_id) chat.readAlong(message.turn_id);
  }

  /** Images that we hold; those of other hosts are never asked for. */
  async #pictures(line: Line, { images }: Stored): Promise<void> {
    const { session } = this.chat;
    for (const { id, url } of images) {
      if (url) continue;
      try {
        const bytes = await (await this.api.send(`sessions/${session}/images/${id}`, { session })).blob();
        const picture = await shrink(bytes);
        if (picture) line.images = [...(line.images ?? []), picture.canvas];
      } catch {
        return;
      }
    }
    if (line.images) this.screen.show(line);
  }
}
