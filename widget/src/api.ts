/** Requests to our own host, as the SDK API wants them. */

import type { Config, WidgetError } from './types';

/** A request that brought no good answer; status 0 where none came at all. */
export class Failure extends Error implements WidgetError {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter = 0,
    readonly requestId = '',
  ) {
    super(message);
  }

  /** Whether the same request may do better later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

interface Options {
  body?: Record<string, unknown>;
  session?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

// How long before its end a token is replaced.
const EARLY = 30;

export class Api {
  #token: string;
  #asking: Promise<string> | null = null;
  lastRequest = '';

  constructor(
    private readonly config: Config,
    readonly base: string,
    public userId: string,
    private readonly onRefused: (failure: Failure) => void,
  ) {
    this.#token = config.userToken ?? '';
  }

  setUser(userId: string, token: string): void {
    this.userId = userId;
    this.#token = token;
  }

  /** The response where it is a good one; once more with a new token where the first was refused. Raises Failure. */
  async send(path: string, options: Options = {}): Promise<Response> {
    try {
      return await this.#once(path, options, await this.#identity(false));
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'identity_failed') throw error;
      const before = this.#token;
      const token = await this.#identity(true);
      if (token && token !== before) {
        try {
          return await this.#once(path, options, token);
        } catch (again) {
          if (again instanceof Failure && again.code === 'identity_failed') this.onRefused(again);
          throw again;
        }
      }
      this.onRefused(error);
      throw error;
    }
  }

  async json<T>(path: string, options: Options = {}): Promise<T> {
    return (await (await this.send(path, options)).json()) as T;
  }

  async #once(path: string, options: Options, token: string): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.config.apiKey}`, ...options.headers };
    if (options.session) headers['X-Session-Id'] = options.session;
    let body: string | undefined;
    if (options.body) {
      headers['Content-Type'] = 'application/json';
      body = JSON.stringify({
        ...options.body,
        ...(this.userId ? { user_id: this.userId } : {}),
        ...(token ? { user_token: token } : {}),
      });
    } else if (token) headers['X-User-Token'] = token;
    const response = await answered(
      fetch(this.base + path, {
        method: body ? 'POST' : 'GET',
        headers,
        body,
        credentials: 'omit',
        cache: 'no-store',
        // The page's path is for rules about pages; what stands behind its question mark is nobody's business.
        referrer: location.protocol.startsWith('http') ? location.origin + location.pathname : undefined,
        referrerPolicy: 'no-referrer-when-downgrade',
        signal: options.signal,
      }),
    );
    this.lastRequest = response.headers.get('X-Request-Id') ?? '';
    return response;
  }

  /** The user's token, asked for where it is missing or about to expire, or where `anew`; empty where there is none. */
  async #identity(anew: boolean): Promise<string> {
    if (!this.userId) return '';
    const { getUserToken } = this.config;
    if (!getUserToken || (!anew && this.#token && !expires(this.#token))) return this.#token;
    this.#asking ??= (async () => {
      try {
        this.#token = (await getUserToken()) || this.#token;
      } catch (error) {
        console.error(error);
      }
      return this.#token;
    })().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }
}

/** The response where it is a good one; else raises Failure. */
export async function answered(request: Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await request;
  } catch (error) {
    throw new Failure(0, 'offline', String(error));
  }
  if (response.ok) return response;
  const told = (await response.json().catch(() => ({}))) as { code?: string; error?: string; request_id?: string };
  const { code = `http_${response.status}`, error = response.statusText, request_id = '' } = told;
  throw new Failure(response.status, code, error, Number(response.headers.get('Retry-After')) || 0, request_id);
}

function expires(token: string): boolean {
  try {
    const claims = JSON.parse(atob((token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))) as { exp?: number };
    return typeof claims.exp === 'number' && claims.exp < Date.now() / 1000 + EARLY;
  } catch {
    return false; // the server will say what is wrong with it
  }
}

/** Growing pauses with some chance in them; ends early where the network comes back. */
export function backOff(attempt: number, atLeast = 0): Promise<void> {
  const wait = Math.max(atLeast * 1000, Math.min(30_000, 500 * 2 ** attempt) * (0.7 + Math.random() * 0.6));
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, wait);
    addEventListener('online', done);
  });
}
