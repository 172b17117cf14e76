/**
 * `/widget.js`: what a page loads first. Defines `HaloAgents`, and has the rest loaded from where it came from.
 *
 * Kept small, as every page view of every customer pays for it. `CORE` is the content-hashed name of the rest.
 */

import type { Config, Instance } from './types';

declare const CORE: string;

const RETRIES = [1000, 4000, 15000];
// Of an asynchronous script too, while it runs.
const script = document.currentScript as HTMLScriptElement | null;
const home = new URL(
  'widget/',
  script?.src || document.querySelector<HTMLScriptElement>('script[src*="widget.js"]')?.src || location.href,
).href;

let instance: Instance | null = null;

function init(config: Config): Instance | null {
  if (instance) {
    console.warn('HaloAgents.init: the widget is running already; call destroy() first.');
    return instance;
  }
  if (!config || typeof config.orgId !== 'string' || typeof config.apiKey !== 'string' || !config.orgId || !config.apiKey) {
    const message = 'HaloAgents.init needs orgId and apiKey.';
    console.error(message);
    tell(() => config?.onError?.({ code: 'invalid_config', message, status: 0 }));
    return null;
  }
  return (instance = queue(config));
}

/** An instance whose calls wait for the rest of the widget, in their order. */
function queue(config: Config): Instance {
  let core: Instance | undefined;
  let gone = false;
  const ready = ready_().then(() => load(0, config, () => gone));
  const later =
    (name: keyof Instance) =>
    (...given: unknown[]): unknown => {
      const call = (to: Instance): unknown => (to[name] as (...given: unknown[]) => unknown)(...given);
      return core ? call(core) : ready.then((to) => (to && !gone ? call(to) : undefined));
    };
  const made: Record<string, unknown> = {};
  const names: (keyof Instance)[] = [
    'sendMessage', 'openChat', 'closeChat', 'identify', 'identifyCompany',
    'setContext', 'clearContext', 'highlightElement', 'clearHighlights',
  ];
  for (const name of names) made[name] = later(name);
  made.debug = () => (core ? core.debug() : { state: gone ? 'destroyed' : 'loading', orgId: config.orgId });
  made.destroy = () => {
    gone = true;
    core?.destroy();
    if (instance === proxy) instance = null;
  };
  const proxy = made as unknown as Instance;
  void ready.then((to) => {
    core = to;
    if (core) tell(() => config.onReady?.(proxy));
  });
  return proxy;
}

function ready_(): Promise<void> {
  return new Promise((resolve) => {
    if (document.body) resolve();
    else document.addEventListener('DOMContentLoaded', () => resolve());
  });
}

async function load(attempt: number, config: Config, isGone: () => boolean): Promise<Instance | undefined> {
  if (isGone()) return undefined;
  try {
    // Browsers remember that a module failed, so every further attempt has an address of its own.
    const rest = (await import(home + CORE + (attempt ? `?${attempt}` : ''))) as {
      start(config: Config, home: string): Instance;
    };
    return isGone() ? undefined : rest.start(config, home);
  } catch (error) {
    const pause = RETRIES[attempt];
    if (pause !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      return load(attempt + 1, config, isGone);
    }
    tell(() => config.onError?.({ code: 'not_loaded', message: String(error), status: 0 }));
    return undefined;
  }
}

/** Runs a function of the page's, whose failure is the page's own. */
function tell(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    console.error(error);
  }
}

const scope = window as unknown as { HaloAgents?: unknown };
// The snippet twice on a page is one widget.
scope.HaloAgents ??= { init, getInstance: () => instance };
