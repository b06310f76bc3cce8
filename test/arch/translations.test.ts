/**
 * A translated page is the same page: piece by piece it has what the English one has, but for the words between. So a person who
 * follows it types the same commands in the same order, and what test/local/pagecommands.test.ts and test/cluster/2-pages.test.ts
 * prove of the commands of the English page is proved of it too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findOriginal, outline } from './outline.ts';
import { listCommands, type Page, readPages } from './pages.ts';

const PAGES = readPages();
const TRANSLATED = PAGES.filter(({ path }) => path.startsWith('docs/zh/'));
/** The quick start is the first part of the README. In Chinese it is a page, and what follows there are links. */
const QUICK_START = { path: 'README.md', ends: /^## What it promises$/m, endsInChinese: /^## 接下来$/m };

/** The part of a page that is translated. */
function partOf({ path, text }: Page): string {
  if (findOriginal(path) !== QUICK_START.path) return text;
  const [part = '', rest] = text.split(
    path === QUICK_START.path ? QUICK_START.ends : QUICK_START.endsInChinese,
  );
  assert.ok(rest !== undefined, `${path} has no end of the quick start`);
  return part;
}

function originalOf({ path }: Page): Page {
  const original = PAGES.find((page) => page.path === findOriginal(path));
  return original ?? assert.fail(`${path} is a translation of no page`);
}

const outlineOf = (page: Page) => outline(page.path, partOf(page));

test('the quick start and the page on STARTTLS are there in Chinese', () => {
  const paths = TRANSLATED.map(({ path }) => path);
  assert.deepEqual(paths, ['docs/zh/README.md', 'docs/zh/starttls.md']);
});

for (const page of TRANSLATED) {
  test(`${page.path} is the same page as ${findOriginal(page.path)}`, () => {
    const original = outlineOf(originalOf(page));
    assert.ok(original.length > 30, `${original.length} pieces`);
    assert.deepEqual(outlineOf(page), original);
  });

  test(`${page.path}: its commands are those of the English page, which the tests of commands type`, () => {
    const typed = listCommands([originalOf(page)]).map(({ text }) => text);
    const commands = listCommands([page]).map(({ text }) => text);
    assert.ok(commands.length > 10, `${commands.length} commands`);
    assert.deepEqual(commands, typed.slice(0, commands.length));
  });
}

const EXAMPLE = `# Trace

It shows \`level\` of [TLS](tls.md).

| level | shows |
| --- | --- |
| 0 | nothing |

1. Apply it:

   \`\`\`yaml
   trace: {level: 3}   # all
   \`\`\`
`;
const outlineOfExample = (text: string) => outline('docs/trace.md', text);

test('words and comments may differ', () => {
  const translated = EXAMPLE.replace('It shows', '显示').replace('# all', '# 全部').replace('nothing', '无');
  assert.deepEqual(outlineOfExample(translated), outlineOfExample(EXAMPLE));
});

for (const [what, part, other] of [
  ['a heading of another level', '# Trace', '## Trace'],
  ['a name in code', '`level`', '`levels`'],
  ['another target of a link', 'tls.md', 'dane.md'],
  ['a row that is missing', '| 0 | nothing |\n', ''],
  ['a row with fewer cells', '| 0 | nothing |', '| 0 |'],
  ['a paragraph more', '\n1. ', '\nMore.\n\n1. '],
  ['another value', 'level: 3', 'level: 4'],
  ['a block of another language', '```yaml', '```'],
] as const)
  test(`a difference is found: ${what}`, () => {
    assert.notDeepEqual(outlineOfExample(EXAMPLE.replace(part, other)), outlineOfExample(EXAMPLE));
  });
