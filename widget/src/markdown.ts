/**
 * A small subset of Markdown as DOM nodes.
 *
 * SECURITY: the text is a model's, and hostile. Nothing here parses HTML, loads anything or sets an attribute but
 * `href`, and that only to http, https and mailto; every link shows where it leads.
 */

import { el } from './dom';

/** What a marker like `[1]` stands for. */
export type Sources = (n: number) => Node | null;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)[\s#]*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^( {0,12})([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const DELIMITER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

// Every repetition is bounded, so that no text makes the search for an end long.
const INLINE = new RegExp(
  [
    String.raw`\\([!-/:-@[-\x60{-~])`, // 1: an escaped character
    String.raw`(\x60{1,4})(?!\x60)([\s\S]{1,800}?)(?<!\x60)\2(?!\x60)`, // 3: code
    String.raw`(!?)\[([^\[\]\n]{0,400})\]\(\s*<?([^\s()<>]{0,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200}){0,4})>?(?:\s+["'][^"'\n]{0,200}["'])?\s*\)`, // 4 5 6: link or image
    String.raw`\[(\d{1,3})\]`, // 7: a source
    String.raw`<?\b(https?:\/\/[^\s<>\x60\[\]*]{1,2000})>?`, // 8: an address
    String.raw`(\*\*|__)(?=\S)([\s\S]{1,1000}?\S|\S)\9`, // 9 10: strong
    String.raw`\*(?=[^\s*])([^*]{0,800}[^\s*])\*`, // 11: emphasis
    String.raw`(?<![\p{L}\p{N}_])_(?=[^\s_])([^_]{0,800}[^\s_])_(?![\p{L}\p{N}_])`, // 12
    String.raw`[ \t]*\n`, // a line break
  ].join('|'),
  'gu',
);

/** The text's blocks, each of which can be rendered by itself. */
export function blocks(text: string): string[] {
  const found: string[] = [];
  let open: string[] = [];
  let fence = '';
  const close = (): void => {
    if (open.length) found.push(open.join('\n'));
    open = [];
  };
  for (const line of text.replace(/\r\n?/g, '\n').split('\n')) {
    const mark = FENCE.exec(line)?.[1];
    if (fence) {
      open.push(line);
      if (mark && mark.startsWith(fence) && line.trim() === mark) {
        fence = '';
        close();
      }
    } else if (mark) {
      close();
      fence = mark;
      open.push(line);
    } else if (!line.trim()) {
      // A list goes on behind an empty line, so that its numbers do.
      if (!open[0] || !ITEM.test(open[0])) close();
      else open.push('');
    } else {
      const first = open[0];
      const inList = first !== undefined && ITEM.test(first);
      if (inList && open[open.length - 1] === '' && !ITEM.test(line) && !/^ {2,}/.test(line)) close();
      else if (!inList && first !== undefined && ITEM.test(line)) close();
      else if (HEADING.test(line) || HEADING.test(first ?? '') || RULE.test(line)) close();
      else if (first !== undefined && QUOTE.test(line) !== QUOTE.test(first) && !inList) close();
      open.push(line);
    }
  }
  close();
  return found;
}

/** One block as a node. */
export function render(block: string, sources: Sources): Node {
  const lines = block.split('\n');
  const first = lines[0] ?? '';
  const fence = FENCE.exec(first)?.[1];
  if (fence) {
    const last = lines[lines.length - 1] ?? '';
    const body = lines.slice(1, lines.length > 1 && last.trim().startsWith(fence) ? -1 : undefined);
    return el('pre', { tabIndex: 0 }, el('code', {}, body.join('\n')));
  }
  const heading = HEADING.exec(first);
  if (heading && lines.length === 1) return el('p', {}, el('strong', {}, ...inline(heading[1] ?? '', sources)));
  if (RULE.test(first) && lines.length === 1) return el('hr', {});
  if (ITEM.test(first)) return list(lines, sources, 0);
  if (QUOTE.test(first)) {
    return el('blockquote', {}, ...inline(lines.map((line) => QUOTE.exec(line)?.[1] ?? line).join('\n'), sources));
  }
  if (lines.length > 1 && first.includes('|') && DELIMITER.test(lines[1] ?? '')) return table(lines, sources);
  return el('p', {}, ...inline(block, sources));
}

function list(lines: string[], sources: Sources, depth: number): Node {
  const start = ITEM.exec(lines[0] ?? '');
  const indent = start?.[1]?.length ?? 0;
  const marker = start?.[2] ?? '-';
  const made = /\d/.test(marker) ? el('ol', { start: parseInt(marker, 10) }) : el('ul', {});
  let item: string[] = [];
  const close = (): void => {
    if (!item.length) return;
    const nested = depth < 3 ? item.findIndex((line, at) => at > 0 && ITEM.test(line)) : -1;
    const own = (nested < 0 ? item : item.slice(0, nested)).join('\n').trim();
    made.append(el('li', {}, ...inline(own, sources), ...(nested < 0 ? [] : [list(item.slice(nested), sources, depth + 1)])));
    item = [];
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && (found[1]?.length ?? 0) <= indent) {
      close();
      item = [found[3] ?? ''];
    } else if (line.trim()) item.push(found ? line : line.trim());
  }
  close();
  return made;
}

function table(lines: string[], sources: Sources): Node {
  const cells = (line: string): string[] => line.trim().replace(/^\||\|$/g, '').split('|');
  const row = (line: string, kind: 'th' | 'td'): Node =>
    el('tr', {}, ...cells(line).slice(0, 20).map((cell) => el(kind, {}, ...inline(cell.trim(), sources))));
  const body = el('tbody', {}, ...lines.slice(2).map((line) => row(line, 'td')));
  return el('div.wide', { tabIndex: 0 }, el('table', {}, el('thead', {}, row(lines[0] ?? '', 'th')), body));
}

function inline(text: string, sources: Sources, depth = 0): Node[] {
  const found: Node[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) found.push(document.createTextNode(text.slice(at, match.index)));
    at = match.index + match[0].length;
    const [whole, escaped, , code, image, label, target, n, address, , strong, star, low] = match;
    const within = (inner: string): Node[] =>
      depth < 5 ? inline(inner, sources, depth + 1) : [document.createTextNode(inner)];
    const emphasis = star ?? low;
    if (escaped) found.push(document.createTextNode(escaped));
    else if (code !== undefined) found.push(el('code', {}, code.trim() || code));
    else if (target !== undefined) {
      // SECURITY: an image would be fetched without anybody's asking: its words are all that is left of it.
      if (image) found.push(document.createTextNode(label ?? ''));
      else found.push(...link(target, within(label || target)));
    } else if (n) found.push(sources(Number(n)) ?? document.createTextNode(whole));
    else if (address) {
      // What ends the sentence is not part of the address.
      const end = /[.,;:!?'")]*$/.exec(address)?.[0] ?? '';
      const clean = address.slice(0, address.length - end.length);
      found.push(...link(clean, [document.createTextNode(clean)]), document.createTextNode(end));
    } else if (strong !== undefined) found.push(el('strong', {}, ...within(strong)));
    else if (emphasis !== undefined) found.push(el('em', {}, ...within(emphasis)));
    else found.push(el('br', {}));
  }
  if (at < text.length) found.push(document.createTextNode(text.slice(at)));
  return found;
}

/** Where a link may lead; null where it may not. */
export function destination(raw: string): URL | null {
  try {
    // Relative to the page, as `new URL` also drops what would hide a scheme.
    const url = new URL(raw, location.href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

function link(raw: string, inner: Node[]): Node[] {
  const url = destination(raw);
  return url ? [anchor(url, inner)] : inner;
}

/** A link that says where it leads. */
export function anchor(url: URL, inner: Node[]): HTMLElement {
  const host = url.protocol === 'mailto:' ? url.pathname : url.host;
  const made = el('a', { href: url.href, rel: 'noopener noreferrer' }, ...inner);
  if (url.origin !== location.origin) made.target = '_blank';
  if (!(made.textContent ?? '').startsWith(`${url.protocol}//${host}`) && made.textContent !== host) {
    made.append(el('bdi.host', { dir: 'ltr' }, host));
  }
  return made;
}
