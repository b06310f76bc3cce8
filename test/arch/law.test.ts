import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { breaches, listImports, type Source, tableFaults } from './law.ts';

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

test('every room and file that the law names exists', () => {
  const paths = projectSources().map(({ path }) => path);
  assert.deepEqual(tableFaults(paths), []);
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
  [
    'the queue imports what delivers',
    [source('relay/queue/x.ts', '../delivery/delivery.ts')],
    /"relay queue" sees "relay delivery" only through courier\.ts/,
  ],
  [
    'the queue imports how a route is found',
    [source('relay/queue/x.ts', '#relay/delivery/route.ts')],
    /only through courier\.ts/,
  ],
  [
    'two rooms import each other, and no two files do',
    [
      source('relay/queue/a.ts', '../dsn/a.ts'),
      { path: 'relay/dsn/b.ts', text: "/** Head. */\nimport type { x } from '../queue/b.ts';\n" },
    ],
    /rooms in a cycle: relay dsn -> relay queue -> relay dsn/,
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
  [
    'a test that is too long',
    [{ path: 'relay/spool/x.test.ts', text: 'x\n'.repeat(301) }],
    /more than one subject/,
  ],
  ['a folder named after nothing', [source('relay/spool/utils/x.ts')], /named after nothing/],
];

const pure = (...lines: string[]): Source => ({
  path: 'relay/spool/x.ts',
  text: `/** Head. Pure. */\n${lines.join('\n')}\n`,
});

/** In a file outside the pure rooms whose head says "Pure". */
const IMPURE = [
  'export const x = () => performance.now();',
  'export const x = () => Date();',
  'export const x = () => new Date();',
  'export const x = () => Date.now();',
  'export const x = Date.now;',
  'const { now } = Date;',
  "export const x = Date['now']();",
  'const clock = Date;',
  'export const x = () => Temporal.Now.instant();',
  'setImmediate(() => {});',
  'setTimeout(() => {}, 1);',
  'export const x = { wait: setTimeout };',
  "export const x = () => fetch('http://a.example');",
  `export const x = \`a $\{fetch(a)} b\`;`,
  'export const x = Math.random();',
  'const { random } = Math;',
  "export const x = Math['random']();",
  'export const x = (at: Date) => at.getHours();',
  'export const x = (at: Date) => at.toLocaleString();',
  'export const x = new Intl.DateTimeFormat().format();',
  "export const x = new Function('return process')();",
  'export const x = () => crypto.randomUUID();',
  'export const x = () => process.hrtime();',
  'export const x = globalThis;',
  "import { connect } from 'node:net';",
  "import { connect } from 'net';",
  "import net from 'node:net';",
  "import * as net from 'node:net';",
  "import { isIP, type Socket, Server } from 'node:net';",
  "import { randomInt as createHash } from 'node:crypto';",
  "import { readFileSync } from 'node:fs';",
  "import { hrtime } from 'node:process';",
  "import { request } from 'undici';",
  "import '../task/clock.ts';",
  "import { monotonic } from '../task/clock.ts';",
  "export { monotonic } from '../task/clock.ts';",
  "import {\n  monotonic,\n} from '#relay/task/clock.ts';",
  "export const x = import('../task/clock.ts');",
  'export const x = (name: string) => import(name);',
  'export const x = import(`../task/clock.ts`);',
];

for (const text of IMPURE) {
  test(`a head may not say "Pure" above: ${text}`, () =>
    assert.match(breaches([pure(text)]).join('\n'), /x\.ts is pure and/));
}

const PURE = [
  "import type { Socket } from 'node:net';",
  "import { BlockList, isIP, type Socket } from 'node:net';",
  "import type { Clock } from '../task/clock.ts';",
  "export type { Clock } from '../task/clock.ts';",
  'let parser: typeof import("../task/clock.ts");',
  'export const x = (now: number) => new Date(now).toISOString();',
  'export const x = (dates: Date[]) => dates.map((date: Date) => Math.floor(Date.parse(String(date))));',
  '// setTimeout( and process.env are words here, and Date.now() too',
  "export const x = 'fetch() of the process';",
  `export const x = \`no process: $\{'performance.now()'}\`;`,
  "export const x = /['`]/.test('fetch()');",
  'export const x = options.fetch(options.process);',
];

for (const text of PURE) {
  test(`a head may say "Pure" above: ${text}`, () =>
    assert.doesNotMatch(breaches([pure(text)]).join('\n'), /is pure/));
}

test('the word is a promise in small letters too', () => {
  const text = '/** Only data and a pure choice. */\nexport const x = Date.now();\n';
  assert.match(breaches([{ path: 'relay/spool/x.ts', text }]).join('\n'), /x\.ts is pure and uses the clock/);
});

test('a pure file may import a file that claims to be pure, and no file between them hides an impure one', () => {
  const [a, clock] = [pure("import { b } from './b.ts';"), "import { monotonic } from '../task/clock.ts';"];
  const between = (head: string): Source => ({
    path: 'relay/spool/b.ts',
    text: `/** ${head} */\n${clock}\n`,
  });
  assert.match(breaches([a, between('Head.')]).join('\n'), /x\.ts is pure and imports b/);
  assert.match(breaches([a, between('Head. Pure.')]).join('\n'), /b\.ts is pure and imports monotonic/);
});

test('a table that names what does not exist is refused', () => {
  const room = { files: /^a\//, rooms: ['b'], packages: [], why: '' };
  const rooms = [
    { ...room, name: 'a', entries: ['in.ts', 'gone.ts'], through: { b: ['old.ts'], d: [] } },
    { ...room, name: 'b', files: /^b\//, rooms: ['c'] },
  ];
  assert.deepEqual(tableFaults(['a/in.ts', 'b/gone.ts', 'b/old.tsx'], rooms, ['a/in.ts', 'a/main.ts']), [
    '"a" names the room "d", which does not exist',
    '"a" has no gone.ts, which is its entry',
    '"b" has no old.ts, through which "a" sees it',
    '"b" names the room "c", which does not exist',
    'a/main.ts, an entry file, does not exist',
  ]);
});

for (const [what, sources, words] of BAD) {
  test(`the law is broken when ${what}`, () => assert.match(breaches(sources).join('\n'), words));
}
