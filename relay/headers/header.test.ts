import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { compiledOf, policyOf, traceOf } from '#test/kit/relayrig.ts';
import { HeaderEditor, type HeaderSteps, joinSteps } from './header.ts';
import { SECTION_BYTES } from './section.ts';

const masquerading = (isSubmitted: boolean, masqueradeDomains: readonly string[]) =>
  compiledOf(policyOf({ masqueradeDomains: [...masqueradeDomains] }), isSubmitted).header;
const WORK = masquerading(true, ['example.com', 'eu.example.com']);
const MASQUERADE = { ...joinSteps([]), edits: WORK.edits };
const NOTHING = masquerading(false, []);
const TRACE = traceOf({
  queueId: 'unique',
  hostname: 'mx.example.com',
  at: new Date('2026-01-02T03:04:05Z'),
});

const DATE = 'Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n';
const ID = 'Message-ID: <unique@mx.example.com>\r\n';

function editor(work: HeaderSteps): HeaderEditor {
  return new HeaderEditor(work, TRACE);
}

function edit(work: HeaderSteps, ...chunks: readonly Buffer[]): Buffer {
  const of = editor(work);
  return Buffer.concat([...chunks.flatMap((chunk) => of.push(chunk)), ...of.end()]);
}

function edited(text: string, work = WORK): string {
  return edit(work, Buffer.from(text, 'latin1')).toString('latin1');
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...chunks, bytes.subarray(at)];
}

const ADDED: readonly [string, string, string][] = [
  ['both', 'Subject: x\r\n\r\nbody\r\n', `Subject: x\r\n${DATE}${ID}\r\nbody\r\n`],
  ['a date', 'message-id : <a@b>\r\n\r\n', `message-id : <a@b>\r\n${DATE}\r\n`],
  ['an id', 'DATE: today\r\n\r\nMessage-ID: x\r\n', `DATE: today\r\n${ID}\r\nMessage-ID: x\r\n`],
  ['nothing', 'Date: x\r\nMessage-Id:\r\n <a@b>\r\n\r\n', 'Date: x\r\nMessage-Id:\r\n <a@b>\r\n\r\n'],
  [
    'both, where names only begin so, or are folded text',
    'Date-X: x\r\nSubject: a\r\n Date: x\r\nMessage-IDs: x\r\n\r\n',
    `Date-X: x\r\nSubject: a\r\n Date: x\r\nMessage-IDs: x\r\n${DATE}${ID}\r\n`,
  ],
  ['both, without an empty line', 'Subject: x\r\n', `Subject: x\r\n${DATE}${ID}`],
  ['both, without a last line break', 'Subject: x', `Subject: x\r\n${DATE}${ID}`],
  ['both, without a header', '\r\nDate: x\r\n', `${DATE}${ID}\r\nDate: x\r\n`],
  ['both, to nothing at all', '', `${DATE}${ID}`],
  ['both, to what is no header', 'hello\r\nTo: x\r\n\r\n', `${DATE}${ID}\r\nhello\r\nTo: x\r\n\r\n`],
  ['both, before a line that is no field', 'A: b\r\nhello\r\n\r\n', `A: b\r\n${DATE}${ID}\r\nhello\r\n\r\n`],
];

for (const [what, before, after] of ADDED) {
  test(`a relay adds ${what}`, () => assert.equal(edited(before), after));
}

const PRIVATE = compiledOf(
  policyOf({}, {}, { headers: { remove: ['X-Mailer'], add: [], received: 'Full' } }),
  true,
).header;
/** What the header has already, so that nothing is added. */
const HAS = 'Date: d\r\nMessage-ID: i\r\n';

for (const [what, before, after] of [
  ['no colon', 'no field\r\nX-Mailer: s\r\nBcc: a@b\r\n\r\nBcc: body', '\r\nno field\r\n\r\nBcc: body'],
  ['no name', ': x\r\nBcc: a@b\r\n\r\n', '\r\n: x\r\n\r\n'],
  ['a blank in its name', 'X Y: z\r\nbcc :a@b\r\n\r\n', '\r\nX Y: z\r\n\r\n'],
  ['a NUL in its name', 'X\0: z\r\nResent-Bcc: a@b\r\n\r\n', '\r\nX\0: z\r\n\r\n'],
  ['a byte beyond ASCII in its name', 'X-\xe4: z\r\nBcc: a@b\r\n\r\n', '\r\nX-\xe4: z\r\n\r\n'],
  ['a fold', 'no\r\n field\r\nBcc: a,\r\n\tb\r\nTo: c\r\n\r\n', '\r\nno\r\n field\r\nTo: c\r\n\r\n'],
  [
    'others of its kind',
    'one\r\nBcc: a\r\ntwo\r\nBcc: b\r\nthree\r\n\r\n',
    '\r\none\r\ntwo\r\nthree\r\n\r\n',
  ],
  ['no empty line behind it', 'no field\r\nBcc: a@b\r\n', '\r\nno field\r\n'],
] as const)
  test(`a line with ${what} ends the header for every reader, and what is hidden stays so behind it`, () => {
    for (const size of [1, 3, before.length])
      for (const head of [HAS, `${HAS}X: ${'x'.repeat(SECTION_BYTES)}\r\n`]) {
        const sizes = new Array<number>(Math.floor(head.length / 1_000 + before.length / size)).fill(size);
        const chunks = [Buffer.from(head), ...cut(Buffer.from(before, 'latin1'), sizes)];
        assert.equal(edit(PRIVATE, ...chunks).toString('latin1'), head + after, `${size}`);
      }
  });

test('a blank line of blanks goes on with its field, and the header with it', () => {
  for (const line of [' \r\n', '\t \r\n'])
    assert.equal(edited(`${HAS}To: x\r\n${line}Bcc: a@b\r\n\r\nhi`), `${HAS}To: x\r\n${line}\r\nhi`);
});

test('a first line that is no field leaves no header, and the line of a mailbox file leaves all of it', () => {
  for (const line of ['hello\r\n', ' folded\r\n', '\tx\r\n', ' \r\n', ` ${'x'.repeat(SECTION_BYTES)}\r\n`])
    assert.equal(
      edited(`${line}Bcc: a@b\r\nTo: x\r\n\r\nhi`),
      `${DATE}${ID}\r\n${line}To: x\r\n\r\nhi`,
      line.slice(0, 9),
    );
  assert.equal(
    edited(`From a@b Mon\r\n${HAS}Bcc: a@b\r\n\r\nhi`),
    `X-Mailbox-Line: From a@b Mon\r\n${HAS}\r\nhi`,
  );
});

const STRAY = 'X-Some header: v\r\n';
const FORGED = 'X-Spam: No\r\n';
/** Steps as mail of strangers has them: where a line is no field, nothing is repaired. */
const STRANGERS = joinSteps([
  { hides: (name) => name === 'x-spam', edits: ({ text }) => text.replace('a@h.', 'a@') },
]);
const HEADS = [HAS, `${HAS}X: ${'x'.repeat(SECTION_BYTES)}\r\n`];

test('in mail that is not submitted, a line that is no field stays as it is, and steps change what is theirs alone', () => {
  for (const head of HEADS)
    for (const [before, after] of [
      [`${STRAY}Subject: s\r\n\r\nhi`, `${STRAY}Subject: s\r\n\r\nhi`],
      [`wrapped\r\n without\r\n\r\nhi`, `wrapped\r\n without\r\n\r\nhi`],
      [`${STRAY}`, `${STRAY}`],
      [`${STRAY}${FORGED}To: x\r\n\r\n${FORGED}`, `${STRAY}To: x\r\n\r\n${FORGED}`],
      [`${FORGED}${STRAY}To: x\r\n\r\nhi`, `${STRAY}To: x\r\n\r\nhi`],
    ] as const)
      for (const size of [1, 7, before.length]) {
        const sizes = new Array<number>(Math.floor(before.length / size)).fill(size);
        const chunks = [Buffer.from(head), ...cut(Buffer.from(before), sizes)];
        assert.equal(edit(STRANGERS, ...chunks).toString(), head + after);
        const added = joinSteps([{ adds: () => 'X-Original-To: c\r\n' }]);
        const at = before.indexOf(STRAY.slice(0, 6));
        if (at >= 0)
          assert.equal(
            edit(added, ...chunks).toString(),
            `${head}${before.slice(0, at)}X-Original-To: c\r\n${before.slice(at)}`,
          );
      }
  assert.equal(edited(`From: a@h.b\r\n${STRAY}\r\n`, STRANGERS), `From: a@b\r\n${STRAY}\r\n`);
});

test('a first line that would go on with our Received field never does, whatever the steps and the length', () => {
  const kinds = [
    NOTHING,
    MASQUERADE,
    STRANGERS,
    PRIVATE,
    joinSteps([{ adds: () => 'X-Original-To: c\r\n' }]),
    joinSteps([{ repairs: true }]),
  ];
  for (const [at, steps] of kinds.entries())
    for (const head of HEADS)
      for (const line of [' (forged) by mx.y.example\r\n', 'no field\r\n']) {
        const out = edited(`${line}${head}\r\nhi`, steps);
        assert.ok(
          [`\r\n${line}`, `X-Original-To: c\r\n\r\n${line}`, `${DATE}${ID}\r\n${line}`].some((start) =>
            out.startsWith(start),
          ),
          `${at} ${out.slice(0, 60)}`,
        );
      }
});

test('only sender fields of the header are masqueraded', () => {
  const fields = (host: string) =>
    `From: Bob <bob@${host}>\r\nSENDER :a@${host}\r\nReply-To: a@${host}, "x, y" <b@${host}>\r\n` +
    `Resent-From: a@${host}\r\nResent-Sender:\r\n <a@${host}>\r\n`;
  const others = 'To: c@h.example.com\r\nCc: c@h.example.com\r\nFromage: c@h.example.com\r\n';
  const body = '\r\nFrom: a@h.example.com\r\n';
  assert.equal(
    edited(`${fields('h.example.com')}${others}${body}`, MASQUERADE),
    `${fields('example.com')}${others}${body}`,
  );
});

test('a section up to the limit is edited, a longer one passes unchanged, however it is cut', () => {
  for (const excess of [0, 1]) {
    const filler = SECTION_BYTES + excess - 'From: a@h.example.com\r\nX: \r\n\r\n'.length;
    const text = `From: a@h.example.com\r\nX: ${'x'.repeat(filler)}\r\n\r\nbody`;
    const wanted = excess === 0 ? text.replace('h.', '') : text;
    for (const size of [1, 4096, text.length]) {
      const sizes = new Array<number>(Math.floor(text.length / size)).fill(size);
      assert.equal(edit(MASQUERADE, ...cut(Buffer.from(text), sizes)).toString(), wanted, `${size}`);
    }
  }
});

test('chunks of the body, and all where nothing is to do, are not copied', () => {
  const header = Buffer.from('Subject: x\r\n\r\nbody');
  const body = Buffer.from('more');
  const idle = editor(NOTHING);
  assert.equal(idle.push(header)[0], header);
  assert.deepEqual(idle.end(), []);
  for (const work of [WORK, MASQUERADE]) {
    const busy = editor(work);
    assert.equal(busy.push(header).at(-1)?.buffer, header.buffer);
    assert.equal(busy.push(body)[0], body);
    assert.deepEqual(busy.end(), []);
  }
  assert.equal(editor(MASQUERADE).push(header)[0], header, 'a section that did not change');
});

test('nothing but the header section is held back', () => {
  const of = editor(WORK);
  assert.deepEqual(of.push(Buffer.from('Subject: x\r\n\r')), []);
  assert.equal(
    Buffer.concat(of.push(Buffer.from('\nbody'))).toString(),
    `Subject: x\r\n${DATE}${ID}\r\nbody`,
  );
});

/** Pieces of a header, each with the expected result. */
const FIELDS = fc.constantFrom<[string, string]>(
  ['From: a@h.example.com\r\n', 'From: a@example.com\r\n'],
  ['from:"h.example.com" \r\n <a@H.Example.COM>\r\n', 'from:"h.example.com" \r\n <a@Example.COM>\r\n'],
  [
    'Reply-To: =?utf-8?q?a=40h.example.com?= <a@x.eu.example.com>,\r\n\tb@h.example.com (x@h.example.com)\r\n',
    'Reply-To: =?utf-8?q?a=40h.example.com?= <a@eu.example.com>,\r\n\tb@example.com (x@h.example.com)\r\n',
  ],
  ['Sender: J\xf6rg <j@eu.example.com>\r\n', 'Sender: J\xf6rg <j@eu.example.com>\r\n'],
  ['From: staff: a@h.example.com;\r\n', 'From: staff: a@h.example.com;\r\n'],
  ['To: a@h.example.com\r\n', 'To: a@h.example.com\r\n'],
  ['X-\xe4: no field\r\n', 'X-\xe4: no field\r\n'],
  ['Subject: \xff\r\n \r\n\tx\r\n', 'Subject: \xff\r\n \r\n\tx\r\n'],
);
const SIZES = fc.array(fc.nat(40), { maxLength: 12 });

test('exactly the intended bytes change, however the message is cut', () => {
  const body = fc.constantFrom('', '\r\n', '\r\nFrom: a@h.example.com\r\n\r\n\xff\x00');
  fc.assert(
    fc.property(fc.array(FIELDS, { maxLength: 8 }), body, SIZES, (pieces, rest, sizes) => {
      const noField = pieces.findIndex(([piece]) => piece.startsWith('X-'));
      const inHeader = (at: number) => noField === -1 || at < noField;
      const before = pieces.map(([piece]) => piece).join('') + rest;
      const header = pieces.filter((_, at) => inHeader(at)).map(([, becomes]) => becomes);
      const behind = pieces.filter((_, at) => !inHeader(at)).map(([piece]) => piece);
      const gap = noField === -1 ? '' : '\r\n';
      const chunks = cut(Buffer.from(before, 'latin1'), sizes);
      const after = header.join('') + DATE + ID + gap + behind.join('') + rest;
      assert.equal(edit(WORK, ...chunks).toString('latin1'), after);
    }),
    { numRuns: 1000 },
  );
});

/** The same text, or with one line break more. */
function isGapped(result: string, text: string): boolean {
  if (result === text) return true;
  let at = 0;
  while (at < text.length && result[at] === text[at]) at += 1;
  return [at, at - 1].some((gap) => gap >= 0 && result === `${text.slice(0, gap)}\r\n${text.slice(gap)}`);
}

test('arbitrary bytes pass, but for fields added, and an empty line before what is no header', () => {
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(fc.constantFrom('\r', '\n', '\r\n', ':', 'From:', ' ', 'a@', '"', '(', '\\', '<', '\xff', 'b'))
      .map((parts) => Buffer.from(parts.join(''), 'latin1')),
  );
  fc.assert(
    fc.property(garbage, SIZES, (bytes, sizes) => {
      const chunks = cut(bytes, sizes);
      const text = bytes.toString('latin1');
      const masqueraded = edit(MASQUERADE, ...chunks).toString('latin1');
      assert.ok(isGapped(masqueraded, text), JSON.stringify(masqueraded));
      const result = edit(WORK, ...chunks).toString('latin1');
      assert.ok(isGapped(result.replace(DATE + ID, ''), text), JSON.stringify(result));
      assert.equal(result, edit(WORK, bytes).toString('latin1'));
    }),
    { numRuns: 2000 },
  );
});
