/** The widget's words, of which one language is loaded. */

import type english from './locales/en';

declare const LOCALES: Record<string, string>;

export type Words = typeof english;
const RIGHT_TO_LEFT = ['ar'];

/** The locale to use: the one asked for, else the page's, else the browser's, else English. */
export function choose(asked: string | undefined): string {
  const wishes = [asked, document.documentElement.lang, ...navigator.languages];
  const known = wishes.map((wish) => (wish ?? '').toLowerCase().split(/[-_]/)[0] ?? '');
  return known.find((one) => one in LOCALES) ?? 'en';
}

export const direction = (locale: string): 'rtl' | 'ltr' => (RIGHT_TO_LEFT.includes(locale) ? 'rtl' : 'ltr');

/** The words of a locale; English where they cannot be had. */
export async function load(locale: string, home: string): Promise<Words> {
  try {
    return ((await import(home + LOCALES[locale])) as { default: Words }).default;
  } catch (error) {
    if (locale === 'en') throw error;
    return load('en', home);
  }
}

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
