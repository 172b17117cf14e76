/** Making elements: properties only, never markup, so that neither a strict CSP nor Trusted Types has anything to refuse. */

type Tags = HTMLElementTagNameMap;
type Props<T> = Partial<Omit<T, 'style' | 'dataset' | 'classList' | 'children'>>;

/** An element with properties; `tag` may name classes, as in `div.line agent`. */
export function el<K extends keyof Tags>(
  tag: K | `${K}.${string}`,
  props: Props<Tags[K]> = {},
  ...children: (Node | string)[]
): Tags[K] {
  const [name, className = ''] = tag.split('.') as [K, string?];
  const made = document.createElement(name);
  // What does not say so submits the form that it is in.
  if (name === 'button') (made as HTMLButtonElement).type = 'button';
  Object.assign(made, { className }, props);
  made.append(...children);
  return made;
}

/** A button that shows an icon, and says what it does to those who point at it or cannot see it. */
export function iconButton(kind: string, path: string, label: string, onclick: () => void): HTMLButtonElement {
  return el(`button.${kind}`, { title: label, ariaLabel: label, onclick }, icon(path));
}

const SVG = 'http://www.w3.org/2000/svg';

/** A 24 by 24 icon of strokes. */
export function icon(path: string): SVGElement {
  const made = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'path');
  for (const [name, value] of Object.entries({ viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' })) {
    made.setAttribute(name, value);
  }
  line.setAttribute('d', path);
  made.append(line);
  return made;
}

export const ICONS = {
  chat: 'M4 5.5h16v11H11l-4.5 4v-4H4z M8 9.5h8 M8 12.5h5',
  down: 'M6 9l6 6 6-6',
  close: 'M6 6l12 12 M18 6L6 18',
  restart: 'M4.5 12a7.5 7.5 0 1 0 2.4-5.5 M4.5 4v4h4',
  send: 'M12 20V5 M5.5 11.5L12 5l6.5 6.5',
  attach: 'M19 11.5l-7 7a4.6 4.6 0 0 1-6.5-6.5l7.6-7.6a3.1 3.1 0 0 1 4.4 4.4l-7.3 7.3a1.5 1.5 0 0 1-2.2-2.2l6.5-6.4',
  up: 'M7 10.5v9 M7 11l3.6-7c1.5 0 2.4 1 2.4 2.5V9.5h5.2c1.2 0 2 1 1.8 2.1l-1.2 6.3c-.2 1-1 1.6-2 1.6H4v-9h3',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M4.5 20.5c.8-3.7 3.8-5.5 7.5-5.5s6.7 1.8 7.5 5.5',
  point: 'M12 4v3 M12 17v3 M4 12h3 M17 12h3 M12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  go: 'M5 12h14 M13 6l6 6-6 6',
} as const;
