/** The page that the widget is on: staying in it, and showing itself where its owner wants that. */

import { onPath } from './navigate';
import type { Config, UiOptions } from './types';

const WATCH_PATH = 400;

/** Keeps an element in a page that may render itself anew, until the signal. */
export function keepIn(host: HTMLElement, signal: AbortSignal): void {
  const watcher = new MutationObserver(put);
  function put(): void {
    if (!host.isConnected) document.body?.append(host);
    // The body itself may be another.
    for (const place of [document.documentElement, document.body]) if (place) watcher.observe(place, { childList: true });
  }
  put();
  signal.addEventListener('abort', () => {
    watcher.disconnect();
    host.remove();
  });
}

/** Looks again and again, as pages go elsewhere without being loaded, and browsers do not tell. */
export function watchPath(look: () => void, signal: AbortSignal): void {
  const timer = setInterval(look, WATCH_PATH);
  signal.addEventListener('abort', () => clearInterval(timer));
}

export function wishes({ ui }: Config): UiOptions {
  return ui === 'manual' ? { trigger: false, badge: false } : (ui ?? {});
}

/** Whether nothing is to be shown here unasked. */
export function isManual({ ui, manualOnPaths }: Config): boolean {
  return ui === 'manual' || onPath(manualOnPaths, location.pathname);
}

/** Whether a click was on what the page has named as its own launcher. */
export function isTrigger(event: MouseEvent, trigger: unknown): boolean {
  const target = event.composedPath()[0];
  if (typeof trigger !== 'string' || !(target instanceof Element)) return false;
  try {
    return target.closest(trigger) !== null;
  } catch {
    return false; // no selector
  }
}
