/**
 * Builds the widget into dist/; `--check` says whether what is there is what the source makes, and writes nothing.
 *
 * Names hold a hash of the content, so that browsers may keep the files for ever: locales first, then the rest of the
 * widget, which names them, then the loader, which names that.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = `${here}dist/`;
const version = JSON.parse(readFileSync(`${here}package.json`, 'utf8')).version ?? '0';

// Words are found by their place: their names, in the widget and in each language, would be a tenth of what is loaded.
const names = [...readFileSync(`${here}src/locales/en.ts`, 'utf8').matchAll(/^  (\w+): /gm)].map(([, name]) => name);
const placed = new RegExp(String.raw`\bwords\.(${names.join('|')})\b`, 'g');
const byPlace = {
  name: 'words-by-place',
  setup(build) {
    build.onLoad({ filter: /src\/\w+\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(placed, (_, name) => `words[${names.indexOf(name)}]`),
      loader: 'ts',
    }));
  },
};

async function bundle(entry, options = {}) {
  const made = await build({
    entryPoints: [`${here}src/${entry}`],
    bundle: true,
    minify: true,
    write: false,
    target: 'es2022',
    format: 'esm',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [byPlace],
    ...options,
  });
  return made.outputFiles[0].text;
}

function named(name, text) {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return `${name}-${hash}.js`;
}

const files = {};
const locales = {};
for (const file of readdirSync(`${here}src/locales`).sort()) {
  const locale = file.replace('.ts', '');
  const { default: words } = await import(`data:text/javascript,${encodeURIComponent(await bundle(`locales/${file}`))}`);
  const text = `export default ${JSON.stringify(names.map((name) => words[name]))}`;
  locales[locale] = named(locale, text);
  files[locales[locale]] = text;
}
const css = readFileSync(`${here}src/style.css`, 'utf8');
const style = (await build({ stdin: { contents: css, loader: 'css' }, minify: true, write: false, target: 'chrome111' }))
  .outputFiles[0].text.trim();
const core = await bundle('core.ts', {
  define: { LOCALES: JSON.stringify(locales), STYLE: JSON.stringify(style), VERSION: JSON.stringify(version) },
});
const coreName = named('halo', core);
files[coreName] = core;
files['widget.js'] = await bundle('loader.ts', { format: 'iife', define: { CORE: JSON.stringify(coreName) } });

if (process.argv.includes('--check')) {
  const there = Object.fromEntries(readdirSync(dist).map((name) => [name, readFileSync(dist + name, 'utf8')]));
  const stale = [...new Set([...Object.keys(there), ...Object.keys(files)])].filter((name) => there[name] !== files[name]);
  if (stale.length) {
    console.error(`widget/dist is not what the source makes; run \`npm run build\` in widget/. Different: ${stale.join(', ')}`);
    process.exit(1);
  }
} else {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  for (const [name, text] of Object.entries(files)) writeFileSync(dist + name, text);
  for (const [name, text] of Object.entries(files)) console.log(`${gzipSync(text, { level: 9 }).length} bytes gzipped  ${name}`);
}
