/** What is said: sending in order, reading answers as they are written, and picking up where a connection was cut. */

import { Failure, backOff, type Api } from './api';
import { events, type Sent } from './sse';
import { Store, type Outgoing, type Saved } from './store';
import type { Action, Answer, Citation, Config, Context, Line } from './types';
import type { Words } from './i18n';
import type { Picture } from './images';

/** What is told of what happens. */
export interface Screen {
  /** A line is new, or has changed. */
  show(line: Line): void;
  remove(line: Line): void;
  clear(): void;
  /** A message of the other side is whole; `fresh` where it came just now. */
  arrived(line: Line, fresh: boolean): void;
  act(action: Action): void;
  connected(is: boolean): void;
  failed(failure: Failure): void;
  /** The session's id, or who has the conversation, is another. */
  changed(): void;
}

// Refusals that may pass are tried again so often; a network that is away is waited for without end.
const ATTEMPTS = 5;
const RESUMES = 25;

export class Chat {
  lines: Line[] = [];
  store: Store;
  context: Context;
  #sending = false;
  #gone = false;
  /** Counts beginnings: what an earlier one still waits for is no longer shown. */
  #era = 0;
  readonly #lineOf = new Map<string, Line>();
  /** Turns whose answers are being read here. */
  readonly #reading = new Set<string>();

  constructor(
    readonly api: Api,
    private readonly config: Config,
    private readonly words: Words,
    private readonly screen: Screen,
  ) {
    this.store = new Store(config.orgId, api.userId);
    this.context = { ...config.context };
  }

  get session(): string {
    return this.store.read().session ?? '';
  }

  get isWriting(): boolean {
    return this.lines.some((line) => line.writing);
  }

  /** Puts a message into the queue, which is sent in order as soon as there is a network. */
  say(text: string, pictures: Picture[] = []): void {
    const outgoing: Outgoing = { key: randomKey(), body: { message: text } };
    if (pictures.length) outgoing.body.images = pictures.map((picture) => picture.url);
    const line: Line = { role: 'user', text, at: new Date(), state: 'waiting', images: pictures.map((one) => one.canvas) };
    this.#lineOf.set(outgoing.key, line);
    this.add(line);
    this.store.write({ queue: [...(this.store.read().queue ?? []), outgoing], at: Date.now() });
    void this.flush();
  }

  add(line: Line): void {
    this.lines.push(line);
    this.screen.show(line);
  }

  /** What an earlier page could not send. */
  resume(): void {
    for (const { key, body, tried } of this.store.read().queue ?? []) {
      if (this.#lineOf.has(key)) continue;
      // Where it did get through, and only the answer to that was lost, the transcript has it already.
      const last = this.lines.filter((one) => one.role === 'user').pop();
      const twin = tried && last?.text === body.message ? last : undefined;
      const line: Line = twin ?? { role: 'user', text: body.message, at: new Date(), state: 'waiting' };
      this.#lineOf.set(key, line);
      if (!twin) this.add(line);
    }
    void this.flush();
  }

  /** Reads the answer to a message that another page has sent. */
  readAlong(turn: string): void {
    if (!this.#reading.has(turn)) void this.#follow(turn, null, this.#answer(), false, null);
  }

  /** Sends what waits, one after another; a tab at a time, as all of them have the same queue. */
  async flush(): Promise<void> {
    if (this.#sending || this.#gone) return;
    this.#sending = true;
    try {
      const send = (): Promise<void> => this.#sendAll();
      if (navigator.locks) await navigator.locks.request(this.store.key, send);
      else await send();
    } finally {
      this.#sending = false;
    }
    if (this.store.read().queue?.length && !this.#gone) void this.flush();
  }

  async #sendAll(): Promise<void> {
    for (let attempt = 0; ; ) {
      const next = this.store.read().queue?.[0];
      if (!next || this.#gone) return;
      const line = this.#lineOf.get(next.key);
      try {
        const response = await this.api.send('chat/stream', {
          body: this.#frozen(next).body,
          headers: { Accept: 'text/event-stream', 'Idempotency-Key': next.key },
        });
        attempt = 0;
        this.#accepted(next, line, response);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.screen.connected(error.status !== 0);
        if (error.passes && (error.status === 0 || attempt < ATTEMPTS)) {
          await backOff(attempt++, error.retryAfter);
        } else {
          attempt = 0;
          this.#take(next);
          this.screen.failed(error);
          if (line) this.#fail(line, this.words.failed, error, next);
        }
      }
    }
  }

  /** The message with all that goes with it, as it was when it was first tried. */
  #frozen(next: Outgoing): Outgoing {
    if (next.tried) return next;
    const { config } = this;
    const body: Outgoing['body'] = { ...next.body };
    if (this.session) body.session_id = this.session;
    if (config.companyId) body.company_id = config.companyId;
    if (config.defaultMode) body.mode = config.defaultMode;
    if (config.userTraits) body.custom_fields = config.userTraits;
    if (Object.keys(this.context).length) body.context = this.context;
    Object.assign(next, { body, tried: true });
    const queue = this.store.read().queue ?? [];
    this.store.write({ queue: queue.map((one) => (one.key === next.key ? next : one)) });
    return next;
  }

  #take(sent: Outgoing): void {
    this.store.write({ queue: (this.store.read().queue ?? []).filter((one) => one.key !== sent.key) });
  }

  #accepted(next: Outgoing, line: Line | undefined, response: Response): void {
    const turn = response.headers.get('X-Turn-Id') ?? '';
    const session = response.headers.get('X-Session-Id') ?? '';
    const known = this.session;
    this.#take(next);
    const changes: Saved = { session, at: Date.now() };
    if (session !== known) Object.assign(changes, { human: false, seen: undefined });
    this.store.write(changes);
    this.screen.connected(true);
    if (session !== known) this.screen.changed();
    if (line) {
      line.state = undefined;
      this.screen.show(line);
    }
    if (!this.#reading.has(turn)) void this.#follow(turn, response, this.#answer(), true, next);
  }

  #answer(): Line {
    const line: Line = { role: 'agent', text: '', at: new Date(), writing: true, status: 'thinking' };
    this.add(line);
    return line;
  }

  /** Reads a turn to its end, however often the connection is cut. */
  async #follow(
    turn: string, first: Response | null, line: Line, fresh: boolean, sent: Outgoing | null,
  ): Promise<void> {
    const era = this.#era;
    this.#reading.add(turn);
    let response = first;
    let last = '';
    for (let attempt = 0; ; attempt++) {
      let wait = 0;
      try {
        response ??= await this.api.send(`chat/turns/${turn}/stream`, {
          session: this.session,
          headers: { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) },
        });
        this.screen.connected(true);
        for await (const event of events(response)) {
          if (this.#gone || era !== this.#era) return;
          last = event.id || last;
          if (event.event === 'delta') attempt = 0;
          if (this.#apply(event, line, fresh, sent)) return void this.#reading.delete(turn);
        }
      } catch (error) {
        if (this.#gone || era !== this.#era) return;
        if (error instanceof Failure) {
          wait = error.retryAfter;
          if (!error.passes || attempt > RESUMES) {
            if (fresh) this.#fail(line, this.words.noAnswer, error, sent);
            else this.#drop(line);
            return void this.#reading.delete(turn);
          }
        }
      }
      response = null;
      line.status = 'resuming';
      this.screen.show(line);
      await backOff(attempt, wait);
    }
  }

  /** What an event does to the answer; true where it is the last one. */
  #apply(sent: Sent, line: Line, fresh: boolean, outgoing: Outgoing | null): boolean {
    switch (sent.event) {
      case 'status':
        line.status = (sent.data as { state: string }).state;
        break;
      case 'delta':
        line.text += (sent.data as { text: string }).text;
        break;
      case 'reset':
        Object.assign(line, { text: '', citations: [] });
        break;
      case 'citation':
        line.citations = [...(line.citations ?? []), sent.data as Citation];
        break;
      case 'done':
        this.#finish(line, sent.data as Answer, fresh);
        return true;
      case 'error': {
        const told = sent.data as { code: string; error: string; request_id: string };
        const failure = new Failure(503, told.code, told.error, 0, told.request_id);
        this.screen.failed(failure);
        this.#fail(line, this.words.noAnswer, failure, outgoing);
        return true;
      }
    }
    this.screen.show(line);
    return false;
  }

  #finish(line: Line, answer: Answer, fresh: boolean): void {
    const human = answer.routing?.action === 'human';
    if (human && !this.store.read().human) {
      this.store.write({ human: true });
      this.screen.changed();
    }
    // Other ways may have brought it already, as may a message that was answered together with this one.
    if (this.lines.some((other) => other.id === answer.message_id) || (human && this.isSaid(answer.text))) {
      this.#drop(line);
      return;
    }
    Object.assign(line, {
      text: answer.text, citations: answer.citations, actions: answer.actions, id: answer.message_id,
      role: human ? 'system' : 'agent', writing: false, status: undefined, at: new Date(),
    });
    this.screen.show(line);
    this.screen.arrived(line, fresh);
    if (fresh) for (const action of answer.actions) this.screen.act(action);
  }

  /** Whether the last announcement of the desk was the very same, as it is for each message to a teammate. */
  isSaid(text: string): boolean {
    return this.lines.filter((line) => line.role === 'system').pop()?.text === text;
  }

  #fail(line: Line, problem: string, failure: Failure, outgoing: Outgoing | null): void {
    const { words } = this;
    const known: Record<string, string> = {
      identity_failed: words.refused, rate_limited: words.busy, invalid_key: words.unavailable,
      not_found: words.unavailable, invalid_request: failure.message,
    };
    Object.assign(line, { writing: false, state: 'failed', problem: known[failure.code] ?? problem });
    if (outgoing) {
      line.retry = () => {
        // The same key: what was stored of it is taken up again, and nothing is stored twice.
        if (line.role === 'user') Object.assign(line, { state: 'waiting', problem: undefined, retry: undefined });
        else this.#drop(line);
        if (failure.code === 'idempotency_mismatch') outgoing.key = randomKey();
        if (line.role === 'user') this.#lineOf.set(outgoing.key, line);
        this.screen.show(line);
        this.store.write({ queue: [outgoing, ...(this.store.read().queue ?? [])] });
        void this.flush();
      };
    }
    this.screen.show(line);
  }

  #drop(line: Line): void {
    this.lines = this.lines.filter((one) => one !== line);
    this.screen.remove(line);
  }

  /** Forgets what is shown; with another store, that one's conversation is the one from now on. */
  reset(store?: Store): void {
    this.#era++;
    this.lines = [];
    this.#lineOf.clear();
    this.#reading.clear();
    if (store) this.store = store;
    this.screen.clear();
  }

  stop(): void {
    this.#gone = true;
  }
}

function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(6)), (part) => part.toString(36)).join('-');
}
