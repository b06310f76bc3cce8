import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compiledOf, policyOf, traceOf } from '#test/kit/relayrig.ts';
import { HeaderEditor } from './header.ts';
import { LongSection } from './longsection.ts';
import { SECTION_BYTES } from './section.ts';

const TRACE = traceOf({
  queueId: 'unique',
  hostname: 'mx.example.com',
  at: new Date('2026-01-02T03:04:05Z'),
});
const LONG = `X: ${'x'.repeat(SECTION_BYTES)}\r\n`;
const DATE = 'Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n';
const ID = 'Message-ID: <unique@mx.example.com>\r\n';

function edited(text: string, size: number): string {
  const { header } = compiledOf(policyOf(), true);
  const editor = new HeaderEditor(header, TRACE);
  const out: Buffer[] = [];
  for (let at = 0; at < text.length; at += size)
    out.push(...editor.push(Buffer.from(text.slice(at, at + size), 'latin1')));
  return Buffer.concat([...out, ...editor.end()]).toString('latin1');
}

for (const [what, before, after] of [
  ['both', `${LONG}\r\nbody`, `${LONG}${DATE}${ID}\r\nbody`],
  ['an id', `Date: x\r\n${LONG}\r\nMessage-ID: body`, `Date: x\r\n${LONG}${ID}\r\nMessage-ID: body`],
  ['a date', `${LONG}message-id :\r\n <a@b>\r\n\r\n`, `${LONG}message-id :\r\n <a@b>\r\n${DATE}\r\n`],
  ['nothing', `${LONG}Date: x\r\nMessage-ID: y\r\n\r\n`, `${LONG}Date: x\r\nMessage-ID: y\r\n\r\n`],
  ['both, before no field', `${LONG}no field\r\n\r\n`, `${LONG}${DATE}${ID}\r\nno field\r\n\r\n`],
  ['both, without an empty line', LONG, `${LONG}${DATE}${ID}`],
  ['both, less its Bcc', `${LONG}Bcc: a@b\r\n\r\nBcc: c`, `${LONG}${DATE}${ID}\r\nBcc: c`],
  [
    'both, less a folded one',
    `bCC :\r\n a,\r\n\tb\r\n${LONG}X: y\r\n\r\n`,
    `${LONG}X: y\r\n${DATE}${ID}\r\n`,
  ],
  [
    'both, less a long one',
    `X: y\r\nResent-Bcc: ${LONG} z\r\nY: z\r\n\r\n`,
    `X: y\r\nY: z\r\n${DATE}${ID}\r\n`,
  ],
  [
    'both, less two',
    `${LONG}Bcc: a\r\nResent-Bcc: b\r\nBccx: c\r\n\r\n`,
    `${LONG}Bccx: c\r\n${DATE}${ID}\r\n`,
  ],
  [
    'both, before no field, less its Bcc',
    `${LONG}Bcc: a\r\nno field\r\nBcc: b\r\n c\r\nBccx: d\r\n\r\nBcc: e`,
    `${LONG}${DATE}${ID}\r\nno field\r\nBccx: d\r\n\r\nBcc: e`,
  ],
  ['both, less what ends it', `${LONG}Bcc: a\r\n b`, `${LONG}`],
] as const)
  test(`a header above the limit is given ${what}, however it is cut`, () => {
    for (const size of [1, 2, 4_096, before.length]) assert.equal(edited(before, size), after, `${size}`);
  });

test('a header of very many names keeps none of them that decides nothing', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const section = new LongSection({
    added: (has) => (has('date') ? '' : DATE),
    isHidden: () => false,
    gap: () => '',
  });
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let first = 0; first < 300_000; first += 1_000) {
    const lines = Array.from({ length: 1_000 }, (_, index) => `x-${first + index}:\r\n`);
    section.push(Buffer.from(lines.join('')));
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 4 * 2 ** 20, `${grown} bytes`);
  assert.equal(Buffer.concat(section.push(Buffer.from('\r\n'))).toString(), `${DATE}\r\n`);
});
