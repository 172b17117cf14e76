/** The public API of the widget, and what its modules tell each other. */

export interface ContextEntry {
  label: string;
  type?: string;
  value: unknown;
}

export type Context = Record<string, ContextEntry>;
export type Traits = Record<string, unknown>;

export interface UiOptions {
  /** `false`: no launcher; a selector: a click on that element of the page opens the chat instead. */
  trigger?: boolean | string;
  /** `false`: no dot on the launcher. */
  badge?: boolean;
  /** `true`: the greeting is shown beside the launcher until it is dismissed. */
  greeting?: boolean;
  /** `true`: opens by itself where a reply has not been seen. */
  autoOpenUnseen?: boolean;
}

export interface Config {
  orgId: string;
  apiKey: string;
  userId?: string;
  companyId?: string;
  userTraits?: Traits;
  companyTraits?: Traits;
  context?: Context;
  userToken?: string;
  /** Asked when the token is missing, expired or refused. */
  getUserToken?: () => Promise<string | null | undefined> | string | null | undefined;
  position?: 'bottom-right' | 'bottom-left';
  theme?: 'auto' | 'light' | 'dark';
  defaultMode?: 'chat' | 'voice' | 'video' | 'livehelp';
  ui?: 'manual' | UiOptions;
  /** Paths on which nothing is shown unasked; `*` is any text, `?` one character. */
  manualOnPaths?: string[];
  apiBase?: string;
  /** `en`, `de`, `fr`, `es`, `pt`, `ar`; else the page's language, else the browser's. */
  locale?: string;
  onReady?: (instance: Instance) => void;
  onError?: (error: WidgetError) => void;
  onMessage?: (message: Told) => void;
  /** Returning `false` keeps the widget from performing the action itself. */
  onAction?: (action: Action) => unknown;
  onChatOpen?: () => void;
  onChatClose?: () => void;
  onIdentityFailure?: (error: WidgetError) => void;
}

export interface WidgetError {
  code: string;
  message: string;
  status: number;
  requestId?: string;
}

export interface Told {
  id: string;
  role: Role;
  text: string;
}

export interface HighlightOptions {
  label?: string;
  /** Milliseconds; without it the highlight stays until it is dismissed or its element is clicked. */
  duration?: number;
  scroll?: boolean;
}

export interface Instance {
  sendMessage(text: string): void;
  openChat(): void;
  closeChat(): void;
  identify(userId: string, traits?: Traits, options?: { userToken?: string }): Promise<void>;
  identifyCompany(companyId: string, traits?: Traits): Promise<void>;
  setContext(key: string, entry: ContextEntry): void;
  clearContext(key?: string): void;
  highlightElement(selector: string, options?: HighlightOptions): void;
  clearHighlights(): void;
  destroy(): void;
  debug(): Record<string, unknown>;
}

export type Role = 'user' | 'agent' | 'teammate' | 'system';

export interface Action {
  type: string;
  [key: string]: unknown;
}

export interface Citation {
  n: number;
  title: string;
  url: string;
  quote: string;
}

/** The answer to a message, as `done` and `/chat` bring it. */
export interface Answer {
  text: string;
  session_id: string;
  actions: Action[];
  citations: Citation[];
  message_id: string;
  turn_id: string;
  routing?: { action: string };
}

/** One message as the panel shows it. */
export interface Line {
  role: Role;
  text: string;
  at: Date;
  id?: string;
  /** Who wrote it, where that is a teammate. */
  name?: string;
  images?: HTMLCanvasElement[];
  citations?: Citation[];
  actions?: Action[];
  rating?: string;
  /** Of a visitor's message: not sent yet, or not to be sent without being asked again. */
  state?: 'waiting' | 'failed';
  problem?: string;
  retry?: () => void;
  /** Of an answer that is being written. */
  writing?: boolean;
  status?: string;
}

export interface AgentLook {
  name: string;
  greeting: string;
  suggestions: string[];
  personLabel: string;
  /** The organisation's choice, by theme. */
  colours: { light: string; dark: string };
  theme: string;
  position: string;
  initials: string;
}
