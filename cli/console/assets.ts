/**
 * The files of the page, as they lie on the disk: its own sources, whose types are taken out, and the packages that it
 * uses. Nothing else can be asked for. The import map tells the browser where the packages are; it stands in the page,
 * so the policy names its hash.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly type: string;
  readonly body: string;
}

const PAGE = fileURLToPath(new URL('./page/', import.meta.url));

const PACKAGES = {
  preact: 'preact',
  'preact/hooks': 'preact/hooks',
  htm: 'htm',
  'htm/preact': 'htm/preact',
  uplot: 'uplot/dist/uPlot.esm.js',
} as const;

const STYLES = { '/uplot.css': 'uplot/dist/uPlot.min.css' } as const;

const MAP = JSON.stringify({
  imports: Object.fromEntries(Object.keys(PACKAGES).map((name) => [name, `/package/${name}.js`])),
});

/** Allows what this server serves, and nothing else. */
export const CONTENT_POLICY = [
  "default-src 'none'",
  `script-src 'self' 'sha256-${createHash('sha256').update(MAP).digest('base64')}'`,
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** By path. */
export function loadAssets(): ReadonlyMap<string, Asset> {
  const own = globSync('**/*.{ts,css,svg}', { cwd: PAGE }).filter((path) => !path.endsWith('.test.ts'));
  return new Map([
    ['/', { type: 'text/html', body: read(`${PAGE}index.html`).replace('IMPORT_MAP', MAP) }],
    ...own.map((path): [string, Asset] => [`/${path}`, loadOwn(path)]),
    ...Object.entries(PACKAGES).map(([name, file]): [string, Asset] => [
      `/package/${name}.js`,
      { type: 'text/javascript', body: readPackage(file) },
    ]),
    ...Object.entries(STYLES).map(([path, file]): [string, Asset] => [
      path,
      { type: 'text/css', body: readPackage(file) },
    ]),
  ]);
}

function loadOwn(path: string): Asset {
  const text = read(`${PAGE}${path}`);
  if (path.endsWith('.ts')) return { type: 'text/javascript', body: stripTypes(text) };
  return { type: path.endsWith('.svg') ? 'image/svg+xml' : 'text/css', body: text };
}

/** Without the names of source maps, which are not served. */
function readPackage(specifier: string): string {
  return read(fileURLToPath(import.meta.resolve(specifier))).replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Node calls this function experimental on standard error, which a person has no use for: the Node is pinned. */
function stripTypes(text: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}
