/** Colours of the organisation's choice, with the contrast that WCAG AA asks for whatever it chose. */

type Rgb = [number, number, number];

const DEFAULT: Rgb = [47, 91, 234];
const TEXT = 4.5;

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
// What text in the colour stands on, by theme; see style.css.
const GROUNDS: Record<Theme, Rgb[]> = { light: [WHITE, [242, 243, 246]], dark: [[23, 25, 31], [38, 41, 50]] };

export type Theme = 'light' | 'dark';

/** The custom properties of a theme: the colour, what is written on it, and what of it can be read as text. */
export function palette(colour: string, theme: Theme): Record<string, string> {
  const accent = parse(colour) ?? DEFAULT;
  return {
    '--accent': css(accent),
    '--on-accent': css(contrast(accent, WHITE) >= TEXT ? WHITE : BLACK),
    '--ink': css(readable(accent, GROUNDS[theme], theme === 'light' ? BLACK : WHITE)),
  };
}

/** The colour, mixed with `towards` as little as it takes to be read on all of `grounds`. */
function readable(colour: Rgb, grounds: Rgb[], towards: Rgb): Rgb {
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = colour.map((part, at) => Math.round(part + ((towards[at] ?? 0) - part) * share)) as Rgb;
    if (grounds.every((ground) => contrast(mixed, ground) >= TEXT)) return mixed;
  }
  return towards;
}

/** The server names colours as `#rrggbb`. */
function parse(colour: string): Rgb | null {
  return /^#[0-9a-f]{6}$/i.test(colour) ? ([1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as Rgb) : null;
}

function contrast(one: Rgb, other: Rgb): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

// As WCAG 2 defines it.
function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}
