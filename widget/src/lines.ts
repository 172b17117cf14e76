/** How a message looks: bubbles, sources, actions, thumbs. */

import { ICONS, el, icon, iconButton } from './dom';
import { fill, type Words } from './i18n';
import { anchor, blocks, destination, render, type Sources } from './markdown';
import { sameSite } from './navigate';
import type { Action, Citation, Line } from './types';

export interface LineHooks {
  highlight(selector: string, label: string): void;
  go(url: URL): void;
  rate(line: Line, rating: 'up' | 'down', comment?: string): void;
}

/** One message on the screen, drawn anew as it changes: what has not changed of it stays where it is. */
export class LineView {
  readonly node = el('div.line', {});
  readonly #bubble = el('div.bubble', { dir: 'auto' });
  readonly #below = el('div.below', {});
  #drawn: string[] = [];
  #shown = '';
  #sourceList: HTMLDetailsElement | null = null;
  #thumbs: HTMLElement | null = null;

  constructor(
    readonly line: Line,
    private readonly words: Words,
    private readonly locale: string,
    private readonly agent: string,
    private readonly hooks: LineHooks,
  ) {
    this.node.append(this.#bubble, this.#below);
    this.draw();
  }

  /** What a screen reader is told of it. */
  get spoken(): string {
    const copy = this.#bubble.cloneNode(true) as HTMLElement;
    for (const mark of copy.querySelectorAll('.mark')) mark.remove();
    return `${this.#author}: ${copy.textContent ?? ''}`;
  }

  draw(): void {
    const { line } = this;
    this.node.className = `line ${line.role}${line.state ? ` ${line.state}` : ''}`;
    if (line.role === 'agent' || line.role === 'teammate') this.#drawText();
    else this.#bubble.replaceChildren(...(line.images ?? []), line.text);
    const isEmpty = !this.#bubble.textContent && !this.#bubble.childElementCount;
    this.#bubble.hidden = isEmpty;
    // Only what differs is built anew: a button that is being used must not vanish under its user.
    const state = JSON.stringify({ ...line, text: isEmpty, images: 0, rating: 0 });
    if (state !== this.#shown) this.#drawBelow(isEmpty);
    this.#shown = state;
    this.#drawThumbs();
  }

  #drawText(): void {
    const { line } = this;
    const sources: Sources = (n) => {
      const citation = line.citations?.find((one) => one.n === n);
      return citation ? this.#mark(citation) : null;
    };
    const found = blocks(line.text);
    // Numbers become marks once their sources are known.
    const known = (line.citations ?? []).map((one) => one.n).join();
    const keys = found.map((block) => `${known}|${block}`);
    let same = 0;
    while (same < keys.length && keys[same] === this.#drawn[same]) same++;
    while (this.#bubble.childNodes.length > same) this.#bubble.lastChild?.remove();
    this.#bubble.append(...found.slice(same).map((block) => render(block, sources)));
    this.#drawn = keys;
  }

  #mark(citation: Citation): Node {
    const label = fill(this.words.source, { n: citation.n, title: citation.title });
    const onclick = (): void => {
      const item = this.#sourceList?.querySelector<HTMLElement>(`[value="${Number(citation.n)}"]`);
      if (!this.#sourceList || !item) return;
      this.#sourceList.open = true;
      item.focus();
      item.scrollIntoView({ block: 'nearest' });
    };
    return el('button.mark', { title: citation.title, ariaLabel: label, onclick }, String(citation.n));
  }

  #drawBelow(isEmpty: boolean): void {
    const { line, words } = this;
    const parts: Node[] = [];
    this.#sourceList = null;
    this.#thumbs = null;
    if (line.writing) {
      const states: Record<string, string> = {
        queued: words.queued, thinking: words.thinking, searching: words.searching, writing: words.writing,
        resuming: words.resuming,
      };
      if (isEmpty || line.status === 'resuming') parts.push(dots(states[line.status ?? ''] ?? words.thinking));
    } else if (line.state === 'failed') {
      const problem = el('p.problem', { role: 'alert' }, line.problem ?? '');
      if (line.retry) problem.append(el('button.plain', { onclick: line.retry }, words.retry));
      parts.push(problem);
    } else if (line.state === 'waiting') {
      parts.push(el('p.meta unsent', {}, words.unsent));
    } else if (line.role !== 'user') {
      if (line.citations?.length) parts.push(this.#sources(line.citations));
      const actions = (line.actions ?? []).flatMap((action) => this.#action(action));
      if (actions.length) parts.push(el('div.actions', {}, ...actions));
      const time = el('time', { dir: 'auto', dateTime: line.at.toISOString() }, clock(this.locale, line.at));
      this.#thumbs = el('span.thumbs', {});
      if (line.role !== 'system') parts.push(el('div.meta', {}, el('span', {}, el('bdi', {}, this.#author), ' · ', time), this.#thumbs));
    }
    this.#below.replaceChildren(...parts);
  }

  get #author(): string {
    const { line, words } = this;
    if (line.role === 'teammate') return line.name || words.someone;
    return line.role === 'user' ? words.you : this.agent;
  }

  #sources(citations: Citation[]): Node {
    const items = citations.map((citation) => {
      const url = citation.url ? destination(citation.url) : null;
      const title = citation.title || citation.url;
      const name = url && url.protocol !== 'mailto:' ? anchor(url, [document.createTextNode(title)]) : el('span', {}, title);
      return el('li', { value: citation.n, tabIndex: -1 }, name, ...(citation.quote ? [el('q', { dir: 'auto' }, citation.quote)] : []));
    });
    const made = el('details.sources', {}, el('summary', {}, `${this.words.sources} (${citations.length})`), el('ol', {}, ...items));
    return (this.#sourceList = made);
  }

  #action(action: Action): Node[] {
    const { words, hooks } = this;
    if (action.type === 'highlight' && typeof action.selector === 'string') {
      const { selector } = action;
      const what = typeof action.label === 'string' ? action.label : '';
      const text = what ? fill(words.showMe, { what }) : words.showElement;
      return [chip(ICONS.point, text, () => hooks.highlight(selector, what))];
    }
    if (action.type === 'navigate') {
      const url = sameSite(action.url);
      return url ? [chip(ICONS.go, fill(words.goTo, { where: url.pathname + url.search + url.hash }), () => hooks.go(url))] : [];
    }
    if (action.type === 'escalate' || action.type === 'create_ticket') {
      return [el('span.done', {}, icon(ICONS.person), words.handedOver)];
    }
    return [];
  }

  #drawThumbs(): void {
    const { line, words } = this;
    const thumbs = this.#thumbs;
    if (!thumbs || line.role !== 'agent' || !line.id) return;
    if (!thumbs.childElementCount) {
      for (const [rating, label] of [['up', words.helpful], ['down', words.notHelpful]] as const) {
        const rate = (): void => {
          this.hooks.rate(line, rating);
          if (rating === 'down') this.#askWhy();
          else this.#below.querySelector('.why')?.remove();
        };
        thumbs.append(iconButton(`thumb ${rating}`, ICONS.up, label, rate));
      }
    }
    for (const button of thumbs.children) {
      button.ariaPressed = String(button.classList.contains(line.rating ?? '-'));
    }
  }

  #askWhy(): void {
    const { words, line } = this;
    if (this.#below.querySelector('.why')) return;
    const field = el('textarea', { rows: 2, maxLength: 2000, ariaLabel: words.whatWasWrong, placeholder: words.whatWasWrong });
    const form = el('form.why', {}, field, el('button', { type: 'submit', className: 'plain' }, words.send));
    form.onsubmit = (event) => {
      event.preventDefault();
      if (field.value.trim()) this.hooks.rate(line, 'down', field.value.trim());
      form.replaceWith(el('p.meta', { role: 'status' }, words.thanks));
    };
    this.#below.append(form);
    field.focus();
    form.scrollIntoView({ block: 'nearest' });
  }
}

/** The three dots that say that somebody is at it. */
export function dots(text: string): HTMLElement {
  const made = el('span.dots', { ariaHidden: 'true' }, el('i'), el('i'), el('i'));
  return el('p.typing', {}, made, text);
}

function chip(path: string, text: string, act: () => void): HTMLElement {
  return el('button.chip', { onclick: act }, icon(path), el('bdi', {}, text));
}

function clock(locale: string, at: Date): string {
  return new Intl.DateTimeFormat(navigator.language.startsWith(locale) ? navigator.language : locale, { hour: 'numeric', minute: '2-digit' }).format(at);
}
