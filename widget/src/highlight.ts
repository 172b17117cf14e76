/**
 * Elements of the page pointed out: scrolled to, outlined, explained. Drawn above the page, in which nothing changes,
 * and found again where the page renders itself anew.
 */

import { ICONS, el, iconButton } from './dom';
import type { HighlightOptions } from './types';

const LONGEST = 500;
const MOST = 5;
const GAP = 6;

interface Pointed {
  selector: string;
  target: Element | null;
  ring: HTMLElement;
  note: HTMLElement;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Highlights {
  #pointed: Pointed[] = [];
  #frame = 0;
  #stale = false;
  readonly #watcher = new MutationObserver(() => {
    this.#stale = true;
  });
  readonly #escaped = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') this.clear();
  };
  // Who has clicked it has found it.
  readonly #clicked = (event: MouseEvent): void => {
    const path = event.composedPath();
    for (const one of [...this.#pointed]) if (one.target && path.includes(one.target)) this.#remove(one);
  };

  constructor(
    private readonly layer: HTMLElement,
    private readonly dismissWord: string,
    private readonly say: (text: string) => void,
  ) {}

  /** Whether there is such an element; it is pointed out then. */
  point(selector: string, options: HighlightOptions = {}): boolean {
    const target = find(selector);
    if (!target) return false;
    this.#remove(this.#pointed.find((one) => one.selector === selector));
    if (this.#pointed.length >= MOST) this.#remove(this.#pointed[0]);
    if (!this.#pointed.length) {
      this.#watcher.observe(document.documentElement, { subtree: true, childList: true, attributes: true });
      document.addEventListener('keydown', this.#escaped);
      document.addEventListener('click', this.#clicked, true);
    }
    const dismiss = iconButton('dismiss', ICONS.close, this.dismissWord, () => this.#remove(one));
    const note = el('div.note', {}, el('span', {}, (options.label ?? '').slice(0, 200)), dismiss);
    const one: Pointed = { selector, target, ring: el('div.ring'), note, timer: undefined };
    if (options.duration) one.timer = setTimeout(() => this.#remove(one), options.duration);
    this.layer.append(one.ring, one.note);
    this.#pointed.push(one);
    if (options.scroll !== false) {
      const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
      target.scrollIntoView({ block: 'center', inline: 'nearest', behavior: calm ? 'auto' : 'smooth' });
    }
    if (options.label) this.say(options.label);
    if (!this.#frame) this.#follow();
    return true;
  }

  /** Whether there was anything to clear. */
  clear(): boolean {
    const had = this.#pointed.length > 0;
    for (const one of [...this.#pointed]) this.#remove(one);
    return had;
  }

  #remove(one: Pointed | undefined): void {
    if (!one) return;
    clearTimeout(one.timer);
    one.ring.remove();
    one.note.remove();
    this.#pointed = this.#pointed.filter((other) => other !== one);
    if (!this.#pointed.length) {
      this.#watcher.disconnect();
      document.removeEventListener('keydown', this.#escaped);
      document.removeEventListener('click', this.#clicked, true);
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
    }
  }

  // Elements move for more reasons than can be listened to: scrolling, fonts, animations.
  #follow = (): void => {
    for (const one of this.#pointed) {
      if (!one.target?.isConnected || this.#stale) one.target = find(one.selector);
      this.#place(one);
    }
    this.#stale = false;
    this.#frame = this.#pointed.length ? requestAnimationFrame(this.#follow) : 0;
  };

  #place({ target, ring, note }: Pointed): void {
    const box = target?.getBoundingClientRect();
    // What is not drawn has no size.
    ring.hidden = note.hidden = !box?.width;
    if (!box) return;
    move(ring, box.left - GAP, box.top - GAP);
    ring.style.width = `${box.width + 2 * GAP}px`;
    ring.style.height = `${box.height + 2 * GAP}px`;
    const { width, height } = note.getBoundingClientRect();
    const below = box.bottom + 2 * GAP;
    const top = below + height < innerHeight ? below : box.top - 2 * GAP - height;
    move(note, within(box.left - GAP, innerWidth - width), within(top, innerHeight - height));
  }
}

/** The nearest place that is on the screen. */
function within(wished: number, most: number): number {
  return Math.max(8, Math.min(wished, most - 8));
}

function move(element: HTMLElement, left: number, top: number): void {
  element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

/** The page's first element for a selector that may be anything. */
function find(selector: string): Element | null {
  // SECURITY: the model's words: no selector at all, or one that takes for ever to look for.
  if (typeof selector !== 'string' || selector.length > LONGEST || selector.split(/[:\s>+~]+/).length > 30) return null;
  try {
    const found = document.querySelector(selector);
    return found && found.localName !== 'halo-agents' ? found : null;
  } catch {
    return null;
  }
}
