import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { breaches, importsOf, type Source } from './law.ts';

const TOP = new URL('../../', import.meta.url).pathname;

function projectSources(): Source[] {
  return globSync('{crds,operator,relay,cli,test}/**/*.ts', { cwd: TOP }).map((path) => ({
    path,
    text: readFileSync(`${TOP}${path}`, 'utf8'),
  }));
}

const source = (path: string, ...imports: string[]): Source => ({
  path,
  text: `/** Head. */\n${imports.map((specifier) => `import { x } from '${specifier}';`).join('\n')}\n`,
});

test('the project keeps its dependency law', () => {
  const sources = projectSources();
  assert.ok(sources.length > 80, `only ${sources.length} files were found`);
  assert.deepEqual(breaches(sources), []);
});

test('importsOf sees every form of import', () => {
  const text = `import a from 'a';\nimport {\n  b,\n} from './b.ts';\nexport { c } from "c";\nimport 'd';\nconst e = await import('#e/e.ts');\n`;
  assert.deepEqual(importsOf({ path: 'x.ts', text }), ['a', './b.ts', 'c', 'd', '#e/e.ts']);
});

const BAD: readonly [string, Source[], RegExp][] = [
  ['the operator sees the relay', [source('operator/x.ts', '#relay/log.ts')], /may not see/],
  ['the relay sees the operator', [source('relay/x.ts', '#operator/world.ts')], /may not see/],
  [
    'the relay imports client-node',
    [source('relay/x.ts', '@kubernetes/client-node')],
    /imports @kubernetes\/client-node/,
  ],
  ['the contract touches a disk', [source('crds/x.ts', 'node:fs')], /imports node:fs/],
  ['rendering talks to the network', [source('operator/render/x.ts', 'undici')], /imports undici/],
  [
    'the command goes around a door',
    [source('cli/x.ts', '#relay/spool/spool.ts')],
    /may not see|only the doors/,
  ],
  ['a program imports a test', [source('relay/x.ts', '#test/kit/sink.ts')], /may not see/],
  [
    'two files import each other',
    [source('relay/a.ts', './b.ts'), source('relay/b.ts', './a.ts')],
    /a cycle/,
  ],
  ['a file without a head', [{ path: 'relay/x.ts', text: 'export const x = 1;\n' }], /no head/],
  [
    'a pure file reads the clock',
    [{ path: 'crds/x.ts', text: '/** Head. */\nexport const x = Date.now();\n' }],
    /uses the clock/,
  ],
  [
    'a file that is too long',
    [{ path: 'relay/x.ts', text: `/** Head. */\n${'\n'.repeat(321)}` }],
    /more than one subject/,
  ],
  ['a folder named after nothing', [source('relay/utils/x.ts')], /named after nothing/],
];

for (const [what, sources, words] of BAD) {
  test(`the law is broken when ${what}`, () => assert.match(breaches(sources).join('\n'), words));
}
