/** The launcher and the panel: what is where, and how it is reached by keyboard. */

import { Composer } from './composer';
import { palette, type Theme } from './colours';
import { ICONS, el, icon, iconButton } from './dom';
import { direction, fill, type Words } from './i18n';
import { among, type Picture } from './images';
import { LineView, dots, type LineHooks } from './lines';
import type { AgentLook, Config, Line } from './types';

export interface ViewHooks extends LineHooks {
  say(text: string, pictures: Picture[]): void;
  restart(): void;
  person(): void;
  opened(): void;
  closed(): void;
  greetingGone(): void;
  /** Escape was pressed: whether that was for what is pointed out on the page. */
  escaped(): boolean;
}

const NARROW = '(max-width: 480px), (max-height: 480px)';
// How near to its end a conversation follows what comes.
const NEAR = 60;

export class View {
  isOpen = false;
  readonly layer = el('div.layer', {});
  readonly #root = el('div.root', {});
  readonly #log = el('div.spoken', { role: 'log', ariaLive: 'polite' });
  readonly #list = el('div.list', { tabIndex: 0, role: 'group' });
  readonly #intro = el('div.intro');
  readonly #typingLine = el('div.line', { hidden: true });
  readonly #banner = el('p.banner', { hidden: true, role: 'status' });
  readonly #confirm = el('div.confirm', { hidden: true, role: 'alertdialog' });
  readonly #foot = el('div.foot');
  readonly #status = el('p.status');
  readonly #title = el('h2');
  readonly #avatar = el('span.avatar', { ariaHidden: 'true' });
  readonly #launcher: HTMLButtonElement;
  readonly #teaser = el('div.teaser', { hidden: true });
  readonly #panel: HTMLElement;
  readonly #restartButton: HTMLButtonElement;
  readonly #composer: Composer;
  readonly #views = new Map<Line, LineView>();
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  #look: AgentLook | null = null;
  #cameFrom: HTMLElement | null = null;
  #personAsked = false;

  constructor(
    shadow: ShadowRoot,
    private readonly words: Words,
    private readonly locale: string,
    private readonly config: Config,
    private readonly hooks: ViewHooks,
    signal: AbortSignal,
  ) {
    const root = this.#root;
    const list = this.#list;
    list.ariaLabel = words.conversation;
    this.#composer = new Composer(words, (text, pictures) => hooks.say(text, pictures));
    this.#restartButton = iconButton('tool', ICONS.restart, words.restart, () => this.#askRestart());
    const close = iconButton('tool', ICONS.close, words.close, () => this.close());
    const head = el('header', {}, this.#avatar, el('div.who', {}, this.#title, this.#status), this.#restartButton, close);
    this.#panel = el('section.panel', { hidden: true, role: 'dialog' },
      head, this.#banner, list, this.#confirm, this.#composer.node, this.#foot);
    this.#launcher = el('button.launcher', { ariaExpanded: 'false', ariaHasPopup: 'dialog', ariaLabel: words.open },
      icon(ICONS.chat), icon(ICONS.down), el('span.dot'));
    this.#launcher.onclick = () => (this.isOpen ? this.close() : this.open());
    list.append(this.#intro, this.#typingLine);
    root.lang = locale;
    root.dir = direction(locale);
    root.append(this.#teaser, this.#panel, this.#launcher, this.layer, this.#log);
    root.hidden = true;
    shadow.append(root);
    this.#panel.onkeydown = (event) => this.#keys(event);
    this.#dropping();
    this.#dark.addEventListener('change', () => this.#paint(), { signal });
  }

  /** Shows the agent that the server names, in its colours; `launcher` and `teaser` as the page wishes. */
  introduce(look: AgentLook): void {
    this.#look = look;
    const bubble = look.greeting ? [el('div.line agent', {}, el('div.bubble', { dir: 'auto' }, el('p', {}, look.greeting)))] : [];
    const suggestions = look.suggestions.map((text) =>
      el('button.suggestion', { dir: 'auto', onclick: () => this.#suggest(text) }, text));
    this.#intro.replaceChildren(...bubble, el('div.suggestions', {}, ...suggestions));
    this.handled(null);
    this.#paint();
    this.#arrange();
    this.#root.hidden = false;
  }

  #suggest(text: string): void {
    this.hooks.say(text, []);
    this.#composer.field.focus();
  }

  #paint(): void {
    const { theme = 'auto' } = this.config;
    const wished = theme === 'auto' ? this.#look?.theme : theme;
    const now: Theme = wished === 'light' || wished === 'dark' ? wished : this.#dark.matches ? 'dark' : 'light';
    this.#root.dataset.theme = now;
    this.#root.dataset.side = (this.config.position ?? this.#look?.position ?? '').endsWith('left') ? 'left' : 'right';
    const colours = palette(this.#look?.colours[now] ?? '', now);
    for (const [name, value] of Object.entries(colours)) this.#root.style.setProperty(name, value);
  }

  /** Opens the panel; `quietly` leaves the focus where somebody may be writing. */
  open(quietly = false): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.#cameFrom = document.activeElement instanceof HTMLElement && document.activeElement !== document.body ? document.activeElement : null;
    this.#panel.hidden = false;
    this.#root.classList.add('open');
    this.#launcher.ariaExpanded = 'true';
    this.#teaser.hidden = true;
    this.unread(false);
    this.#end();
    // Where a keyboard would slide in over the conversation, it waits until it is asked for.
    if (quietly) this.#cameFrom = null;
    else if (matchMedia('(pointer: coarse)').matches) this.#list.focus({ preventScroll: true });
    else this.#composer.field.focus({ preventScroll: true });
    this.hooks.opened();
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#panel.hidden = true;
    this.#confirm.hidden = true;
    this.#root.classList.remove('open');
    this.#launcher.ariaExpanded = 'false';
    this.#label(false);
    // Focus goes back to where it came from.
    const back = this.#cameFrom?.isConnected && this.#cameFrom.localName !== 'halo-agents' ? this.#cameFrom : this.#launcher;
    back.focus({ preventScroll: true });
    this.hooks.closed();
  }

  showLauncher(is: boolean): void {
    this.#launcher.hidden = !is;
    if (!is) this.#teaser.hidden = true;
  }

  greet(): void {
    if (!this.#look?.greeting || this.isOpen || this.#launcher.hidden) return;
    const open = el('button.open', { dir: 'auto', onclick: () => this.open() }, this.#look.greeting);
    const away = iconButton('tool', ICONS.close, this.words.dismiss, () => {
      this.#teaser.hidden = true;
      this.hooks.greetingGone();
    });
    this.#teaser.replaceChildren(open, away);
    this.#teaser.hidden = false;
  }

  unread(is: boolean): void {
    this.#root.classList.toggle('unread', is);
    this.#label(is);
  }

  #label(unread: boolean): void {
    const { words } = this;
    this.#launcher.ariaLabel = this.isOpen ? words.close : unread ? words.unread : words.open;
  }

  show(line: Line): void {
    const follows = this.#isAtEnd() || line.role === 'user';
    let view = this.#views.get(line);
    if (view) view.draw();
    else {
      view = new LineView(line, this.words, this.locale, this.#look?.name ?? '', this.hooks);
      this.#views.set(line, view);
      this.#list.insertBefore(view.node, this.#typingLine);
      this.#arrange();
    }
    if (follows) this.#end();
  }

  remove(line: Line): void {
    this.#views.get(line)?.node.remove();
    this.#views.delete(line);
    this.#arrange();
  }

  clear(): void {
    for (const view of this.#views.values()) view.node.remove();
    this.#views.clear();
    this.#personAsked = false;
    this.typing(null);
    this.#drawFoot();
    this.#arrange();
  }

  /** Tells screen readers of a message, whole. */
  announce(line: Line): void {
    this.say(this.#views.get(line)?.spoken ?? line.text);
  }

  say(text: string): void {
    const told = el('p', {}, text);
    this.#log.append(told);
    // Long enough to be read out; then it would only be in the way.
    setTimeout(() => told.remove(), 15_000);
  }

  typing(name: string | null): void {
    const follows = this.#isAtEnd();
    this.#typingLine.hidden = name === null;
    if (name !== null) this.#typingLine.replaceChildren(dots(fill(this.words.typing, { name: name || this.words.someone })));
    if (follows) this.#end();
  }

  /** Who answers: a teammate, or (`null`) the agent. */
  handled(by: string | null): void {
    const { words } = this;
    this.#panel.ariaLabel = this.#title.textContent = by === null ? (this.#look?.name ?? '') : by || words.someone;
    this.#status.textContent = by === null ? words.ai : words.team;
    this.#avatar.textContent = by ? initial(by) : (this.#look?.initials ?? '');
    this.#root.classList.toggle('human', by !== null);
    this.#drawFoot();
  }

  warn(text: string): void {
    this.#banner.hidden = !text;
    if (this.#banner.textContent !== text) this.#banner.textContent = text;
  }

  asked(): void {
    this.#personAsked = true;
    this.#drawFoot();
  }

  #drawFoot(): void {
    const { words } = this;
    const look = this.#look;
    const label = look?.personLabel ?? '';
    const isHuman = this.#root.classList.contains('human');
    if (isHuman || !label) this.#foot.replaceChildren();
    else if (this.#personAsked) this.#foot.replaceChildren(el('p.meta', { role: 'status' }, words.handedOver));
    else this.#foot.replaceChildren(el('button.plain', { onclick: () => this.hooks.person() }, icon(ICONS.person), label));
  }

  #arrange(): void {
    const isEmpty = this.#views.size === 0;
    this.#intro.lastElementChild?.toggleAttribute('hidden', !isEmpty);
    this.#restartButton.hidden = isEmpty;
  }

  #askRestart(): void {
    const { words } = this;
    const confirm = this.#confirm;
    const cancel = el('button.plain', { onclick: () => this.#answerRestart(false) }, words.cancel);
    const yes = el('button.solid', { onclick: () => this.#answerRestart(true) }, words.restart);
    confirm.replaceChildren(el('p', {}, words.restartAsk), yes, cancel);
    confirm.ariaLabel = words.restartAsk;
    confirm.hidden = false;
    yes.focus();
    this.#end();
  }

  #answerRestart(yes: boolean): void {
    this.#confirm.hidden = true;
    if (yes) this.hooks.restart();
    (yes ? this.#composer.field : this.#restartButton).focus();
  }

  #keys(event: KeyboardEvent): void {
    if (event.key === 'Escape' && !event.isComposing) {
      event.stopPropagation();
      if (!this.#confirm.hidden) this.#answerRestart(false);
      else if (!this.hooks.escaped()) this.close();
    } else if (event.key === 'Tab' && matchMedia(NARROW).matches) {
      // The panel covers the page there, so focus must not wander under it.
      const all = [...this.#panel.querySelectorAll<HTMLElement>('button, textarea, a, [tabindex="0"], summary')].filter(
        (one) => one.offsetParent !== null && !(one as HTMLButtonElement).disabled,
      );
      const end = event.shiftKey ? all[0] : all[all.length - 1];
      if ((this.#panel.getRootNode() as ShadowRoot).activeElement !== end) return;
      event.preventDefault();
      (event.shiftKey ? all[all.length - 1] : all[0])?.focus();
    }
  }

  #dropping(): void {
    const over = (is: boolean) => (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.#panel.classList.toggle('dropping', is);
    };
    this.#panel.dataset.drop = this.words.dropHere;
    this.#panel.ondragover = over(true);
    this.#panel.ondragleave = over(false);
    this.#panel.ondrop = (event) => {
      over(false)(event);
      void this.#composer.take(among(event.dataTransfer));
    };
  }

  #isAtEnd(): boolean {
    const list = this.#list;
    return list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
  }

  #end(): void {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}

export function initial(name: string): string {
  return [...name.trim()][0]?.toUpperCase() ?? '';
}
