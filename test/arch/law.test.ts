import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { breaches, listImports, type Source } from './law.ts';

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

test('listImports sees every form of import', () => {
  const text = `import a from 'a';\nimport {\n  b,\n} from './b.ts';\nexport { c } from "c";\nimport 'd';\nconst e = await import('#e/e.ts');\n`;
  assert.deepEqual(listImports({ path: 'x.ts', text }), ['a', './b.ts', 'c', 'd', '#e/e.ts']);
});

const BAD: readonly [string, Source[], RegExp][] = [
  ['the operator sees the relay', [source('operator/x.ts', '#relay/observe/log.ts')], /may not see/],
  ['the relay sees the operator', [source('relay/spool/x.ts', '#operator/world.ts')], /may not see/],
  [
    'the relay imports client-node',
    [source('relay/spool/x.ts', '@kubernetes/client-node')],
    /imports @kubernetes\/client-node/,
  ],
  ['the contract touches a disk', [source('crds/x.ts', 'node:fs')], /imports node:fs/],
  ['rendering talks to the network', [source('operator/render/x.ts', 'undici')], /imports undici/],
  [
    'the command imports a file that is no entry file',
    [source('cli/x.ts', '#relay/spool/spool.ts')],
    /may not see|only the entry files/,
  ],
  ['a program imports a test', [source('relay/spool/x.ts', '#test/kit/sink.ts')], /may not see/],
  [
    'two files import each other',
    [source('relay/spool/a.ts', './b.ts'), source('relay/spool/b.ts', './a.ts')],
    /a cycle/,
  ],
  ['a file without a head', [{ path: 'relay/spool/x.ts', text: 'export const x = 1;\n' }], /no head/],
  [
    'a pure file reads the clock',
    [{ path: 'crds/x.ts', text: '/** Head. */\nexport const x = Date.now();\n' }],
    /uses the clock/,
  ],
  [
    'a file that is too long',
    [{ path: 'relay/spool/x.ts', text: `/** Head. */\n${'x\n'.repeat(300)}` }],
    /more than one subject/,
  ],
  ['a folder named after nothing', [source('relay/spool/utils/x.ts')], /named after nothing/],
];

for (const [what, sources, words] of BAD) {
  test(`the law is broken when ${what}`, () => assert.match(breaches(sources).join('\n'), words));
}
