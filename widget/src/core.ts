/** The widget itself: wires what is said to what is shown, and both to the page. */

import { Api, Failure, answered, backOff } from './api';
import { Chat, type Screen } from './chat';
import { Highlights } from './highlight';
import { choose, load, type Words } from './i18n';
import { Live } from './live';
import { lookOf, type Introduction } from './look';
import { isManual, isTrigger, keepIn, watchPath, wishes } from './page';
import { Store } from './store';
import type { Action, Answer, Config, Context, ContextEntry, Instance, Line, Traits, WidgetError } from './types';
import { View } from './view';

declare const STYLE: string;
declare const VERSION: string;

const TAG = 'halo-agents';

/** Starts the widget; its calls wait until its words have been loaded. */
export function start(config: Config, home: string): Instance {
  if (!customElements.get(TAG)) customElements.define(TAG, class extends HTMLElement {});
  return new Widget(config, home);
}

class Widget implements Instance {
  readonly #host = document.createElement(TAG);
  readonly #api: Api;
  readonly #locale: string;
  readonly #begun: Promise<void>;
  #words!: Words;
  #view!: View;
  #chat!: Chat;
  #live!: Live;
  #highlights!: Highlights;
  #gone = false;
  #isReady = false;
  #lastError = '';
  /** Whether the greeting was dismissed, by whoever sits here. */
  readonly #greeted: Store;
  /** Ends all listening to the page. */
  readonly #listening = new AbortController();

  constructor(
    private readonly config: Config,
    private readonly home: string,
  ) {
    const base = `${(config.apiBase ?? new URL('..', home).href).replace(/\/+$/, '')}/api/sdk/`;
    const userId = config.userId === 'anonymous' ? '' : (config.userId ?? '');
    this.#api = new Api(config, base, userId, (failure) => this.#tell(config.onIdentityFailure, shape(failure)));
    this.#greeted = new Store(config.orgId, ':greeted');
    this.#locale = choose(config.locale);
    this.#begun = this.#begin();
  }

  // --- the public API ---
  sendMessage(text: string): void {
    if (String(text).trim()) void this.#begun.then(() => this.#say(String(text)));
  }

  openChat(): void {
    void this.#begun.then(() => this.#view.open());
  }

  closeChat(): void {
    void this.#begun.then(() => this.#view.close());
  }

  async identify(userId: string, traits?: Traits, options?: { userToken?: string }): Promise<void> {
    await this.#begun;
    const { config } = this;
    const api = this.#api;
    const chat = this.#chat;
    const before = chat.store;
    const session = chat.session;
    const wasAnonymous = !api.userId;
    const isOther = api.userId !== userId;
    api.setUser(userId, options?.userToken ?? (isOther ? '' : (config.userToken ?? '')));
    if (traits) config.userTraits = traits;
    if (isOther) {
      const store = new Store(config.orgId, userId);
      // What an anonymous visitor has said goes along with them; another user's conversation never does.
      if (wasAnonymous && session && !store.read().session) {
        store.write(before.read());
        before.clear();
        chat.store = store;
      } else {
        chat.reset(store);
        this.#live.restart();
        void this.#live.restore();
      }
    }
    await this.#post('users/identify', { traits, session_id: chat.session || undefined });
  }

  async identifyCompany(companyId: string, traits?: Traits): Promise<void> {
    await this.#begun;
    this.config.companyId = companyId;
    await this.#post('companies/identify', { company_id: companyId, traits });
  }

  setContext(key: string, entry: ContextEntry): void {
    void this.#begun.then(() => {
      this.#chat.context = { ...this.#chat.context, [key]: entry };
    });
  }

  clearContext(key?: string): void {
    void this.#begun.then(() => {
      const rest: Context = { ...this.#chat.context };
      if (key !== undefined) delete rest[key];
      this.#chat.context = key === undefined ? {} : rest;
    });
  }

  highlightElement(selector: string, options?: { label?: string; duration?: number; scroll?: boolean }): void {
    void this.#begun.then(() => this.#highlights.point(selector, options));
  }

  clearHighlights(): void {
    void this.#begun.then(() => this.#highlights.clear());
  }

  destroy(): void {
    this.#gone = true;
    this.#listening.abort();
    void this.#begun.then(() => {
      this.#highlights.clear();
      this.#live.stop();
      this.#chat.stop();
    });
  }

  /** SECURITY: nothing that lets its reader act as somebody: no key, token or session, and no message. */
  debug(): Record<string, unknown> {
    const saved = this.#chat?.store.read() ?? {};
    return {
      state: this.#gone ? 'destroyed' : this.#isReady ? 'ready' : 'loading',
      version: VERSION,
      orgId: this.config.orgId,
      apiBase: this.#api.base,
      locale: this.#locale,
      online: navigator.onLine,
      identified: !!this.#api.userId,
      hasSession: !!saved.session,
      withTeammate: !!saved.human,
      queued: saved.queue?.length ?? 0,
      messages: this.#chat?.lines.length ?? 0,
      open: !!this.#view?.isOpen,
      lastError: this.#lastError,
      lastRequestId: this.#api.lastRequest,
    };
  }

  // --- beginning ---
  async #begin(): Promise<void> {
    this.#words = await load(this.#locale, this.home);
    const words = this.#words;
    const shadow = this.#host.attachShadow({ mode: 'open' });
    // A sheet made by script: a page's CSP has no say in it, as it would in a style element.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    this.#view = new View(shadow, words, this.#locale, this.config, {
      say: (text, pictures) => this.#say(text, pictures),
      restart: () => this.#restart(),
      person: () => void this.#person(),
      opened: () => this.#opened(),
      closed: () => {
        this.#live.look();
        this.#arrange();
        this.#tell(this.config.onChatClose);
      },
      greetingGone: () => this.#greeted.write({ at: 1 }),
      escaped: () => this.#highlights.clear(),
      highlight: (selector, label) => this.#point(selector, label),
      go: (url) => location.assign(url.href),
      rate: (line, rating, comment) => void this.#rate(line, rating, comment),
    }, this.#listening.signal);
    this.#highlights = new Highlights(this.#view.layer, words.dismiss, (text) => this.#view.say(text));
    this.#chat = new Chat(this.#api, this.config, words, this.#screen());
    this.#live = new Live(this.#api, this.#chat, {
      show: (line) => this.#view.show(line),
      arrived: (line, fresh) => this.#arrived(line, fresh),
      typing: (name) => this.#view.typing(name),
      changed: () => this.#handled(),
      closed: () => this.#chat.add({ role: 'system', text: words.closed, at: new Date() }),
      isOpen: () => this.#view.isOpen,
    });
    if (this.#gone) return;
    keepIn(this.#host, this.#listening.signal);
    this.#listen();
    this.#connected(navigator.onLine);
    void this.#introduce();
  }

  async #introduce(): Promise<void> {
    const { config } = this;
    for (let attempt = 0; !this.#gone; attempt++) {
      try {
        // Everybody may read that: no key, and so no preflight.
        const url = `${this.#api.base}config?org_id=${encodeURIComponent(config.orgId)}`;
        const told = (await (await answered(fetch(url, { credentials: 'omit' }))).json()) as Introduction;
        if (this.#gone) return;
        this.#view.introduce(lookOf(told, this.#words));
        break;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#failed(error);
        if (!error.passes) return;
        await backOff(attempt + 1, error.retryAfter);
      }
    }
    if (config.manualOnPaths?.length) watchPath(() => this.#arrange(), this.#listening.signal);
    this.#arrange();
    this.#handled();
    this.#isReady = true;
    if (config.userId && config.userTraits) void this.identify(config.userId, config.userTraits, { userToken: config.userToken });
    if (config.companyId && config.companyTraits) void this.identifyCompany(config.companyId, config.companyTraits);
    await this.#live.restore();
    if (wishes(this.config).greeting && !this.#chat.lines.length && !this.#greeted.read().at && !isManual(this.config)) this.#view.greet();
  }

  #listen(): void {
    const { signal } = this.#listening;
    const online = (): void => {
      this.#connected(navigator.onLine);
      void this.#chat.flush();
    };
    addEventListener('online', online, { signal });
    addEventListener('offline', online, { signal });
    addEventListener('storage', (event) => event.key === this.#chat.store.key && this.#elsewhere(event), { signal });
    document.addEventListener('visibilitychange', () => this.#live.look(), { signal });
    document.addEventListener('click', (event) => isTrigger(event, wishes(this.config).trigger) && this.openChat(), { signal });
  }

  // --- what happens ---
  #screen(): Screen {
    return {
      show: (line) => {
        this.#view.show(line);
        if (!line.writing) this.#live?.release();
      },
      remove: (line) => {
        this.#view.remove(line);
        this.#live?.release();
      },
      clear: () => this.#view.clear(),
      arrived: (line, fresh) => this.#arrived(line, fresh),
      act: (action) => this.#act(action),
      connected: (is) => this.#connected(is),
      failed: (failure) => this.#failed(failure),
      changed: () => {
        this.#handled();
        this.#live.restart();
      },
    };
  }

  #say(text: string, pictures: Parameters<Chat['say']>[1] = []): void {
    this.#highlights.clear();
    this.#chat.say(text, pictures);
  }

  #opened(): void {
    this.#seen();
    this.#live.look();
    this.#arrange();
    this.#tell(this.config.onChatOpen);
  }

  #arrived(line: Line, fresh: boolean): void {
    if (fresh) {
      this.#view.announce(line);
      this.#tell(this.config.onMessage, { id: line.id ?? '', role: line.role, text: line.text });
    }
    const { seen = '' } = this.#chat.store.read();
    if (this.#view.isOpen) this.#seen();
    else if ((line.id ?? '') > seen) {
      if (wishes(this.config).badge !== false) this.#view.unread(true);
      if (wishes(this.config).autoOpenUnseen && !isManual(this.config)) this.#view.open(true);
    }
  }

  #seen(): void {
    const newest = this.#chat.lines.reduce((id, line) => (line.id && line.id > id ? line.id : id), '');
    if (newest) this.#chat.store.write({ seen: newest });
  }

  #act(action: Action): void {
    let wish: unknown;
    try {
      wish = this.config.onAction?.(action);
    } catch (error) {
      console.error(error);
    }
    // A panel that covers the page would hide what is pointed at: there it waits for the button.
    if (wish === false || action.type !== 'highlight' || matchMedia('(max-width: 480px)').matches) return;
    this.#highlights.point(String(action.selector), { label: typeof action.label === 'string' ? action.label : '' });
  }

  #point(selector: string, label: string): void {
    if (matchMedia('(max-width: 480px)').matches) this.#view.close();
    this.#highlights.point(selector, { label });
  }

  async #rate(line: Line, rating: 'up' | 'down', comment?: string): Promise<void> {
    const before = line.rating;
    line.rating = rating;
    this.#view.show(line);
    const body = { session_id: this.#chat.session, rating, ...(comment ? { comment } : {}) };
    const done = await this.#post(`messages/${line.id}/feedback`, body);
    if (!done) {
      line.rating = before;
      this.#view.show(line);
    }
  }

  async #person(): Promise<void> {
    const { session } = this.#chat;
    // Before anything was said there is nothing to hand over: saying so is the first message.
    if (!session) return this.#say(this.#words.personAsked);
    try {
      const answer = await this.#api.json<Answer>(`sessions/${session}/handover`, { body: {} });
      this.#view.asked();
      // A closed conversation goes on in a fresh session.
      if (answer.session_id !== session) {
        this.#chat.store.write({ session: answer.session_id });
        this.#live.restart();
      }
      await this.#live.catchUp(true);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#failed(error);
      this.#chat.add({ role: 'system', text: this.#words.noPerson, at: new Date() });
    }
  }

  #restart(): void {
    this.#highlights.clear();
    this.#chat.store.clear();
    this.#chat.reset();
    this.#live.restart();
    this.#handled();
  }

  /** Another tab has said something, or begun anew. */
  #elsewhere(event: StorageEvent): void {
    const session = (text: string | null): unknown => (text ? (JSON.parse(text) as { session?: string }).session : undefined);
    if (session(event.oldValue) !== session(event.newValue)) {
      if (session(event.oldValue)) this.#chat.reset();
      this.#live.restart();
      void this.#live.restore();
    } else this.#live.look();
  }

  #handled(): void {
    this.#view.handled(this.#chat.store.read().human ? this.#live.name : null);
  }

  #connected(is: boolean): void {
    this.#view.warn(is && navigator.onLine ? '' : this.#words.offline);
  }

  #failed(failure: Failure): void {
    this.#lastError = failure.code;
    this.#tell(this.config.onError, shape(failure));
  }

  // --- the page ---
  #arrange(): void {
    const { trigger = true } = wishes(this.config);
    // What is open can be closed, wherever it is.
    this.#view.showLauncher(this.#view.isOpen || (trigger === true && !isManual(this.config)));
  }

  /** Whether the request was a success; failures are told to the page. */
  async #post(path: string, body: Record<string, unknown>): Promise<boolean> {
    try {
      await this.#api.send(path, { body });
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#failed(error);
      return false;
    }
  }

  #tell<T extends unknown[]>(callback: ((...given: T) => unknown) | undefined, ...given: T): void {
    try {
      callback?.(...given);
    } catch (error) {
      console.error(error);
    }
  }
}

function shape({ code, message, status, requestId }: Failure): WidgetError {
  return { code, message, status, requestId };
}
