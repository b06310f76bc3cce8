import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { SMTPServerDataStream } from 'smtp-server';
import { joinSteps } from '../headers/header.ts';
import { type ContentTerms, passContent, readContent } from './content.ts';
import { REPLIES, Refusal } from './reply.ts';

const TERMS: ContentTerms = {
  trace: {
    ...{ helo: 'c.example', client: '192.0.2.1', hostname: 'mx.example', queueId: '0' },
    ...{ esmtp: true, smtpUtf8: false, tls: null, authenticated: false, recipients: [], at: new Date(0) },
  },
  steps: joinSteps([{ front: () => 'Received: here\r\n' }, { hides: (name) => name === 'bcc' }]),
  lineEndings: 'Strict',
  ownSenders: undefined,
  mostBytes: null,
};

function begin(terms = TERMS, take?: (parts: readonly Buffer[]) => Promise<void> | undefined) {
  const stream = new PassThrough();
  const taken: Buffer[] = [];
  const passed = passContent(stream as unknown as SMTPServerDataStream, terms, (parts) => {
    taken.push(...parts);
    return take?.(parts);
  });
  const failure = passed.then(
    () => undefined,
    (error: Error) => error,
  );
  return { stream, failure, text: () => Buffer.concat(taken).toString() };
}

function isReply(error: unknown, { text }: { text: string }): void {
  assert.ok(error instanceof Refusal);
  assert.equal(error.reply.text, text);
}

test('parts that are taken as they come are those that are read, wherever the message is cut', async () => {
  const mail = Buffer.from('From: a@x.example\r\nBcc: b@x.example\r\n\r\none\r\ntwo\r\n');
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(mail.length), { maxLength: 5 }), async (cuts) => {
      const ends = [...cuts.sort((a, b) => a - b), mail.length];
      const chunks = ends
        .map((end, at) => mail.subarray(ends[at - 1] ?? 0, end))
        .filter(({ length }) => length);
      const { stream, failure, text } = begin();
      for (const chunk of chunks) stream.write(chunk);
      stream.end();
      assert.equal(await failure, undefined);
      const read = new PassThrough();
      for (const chunk of chunks) read.write(chunk);
      read.end();
      const parts: Buffer[] = [];
      for await (const part of readContent(read as unknown as SMTPServerDataStream, TERMS)) parts.push(part);
      assert.equal(text(), Buffer.concat(parts).toString());
      assert.equal(text(), 'Received: here\r\nFrom: a@x.example\r\n\r\none\r\ntwo\r\n');
    }),
    { numRuns: 50 },
  );
});

test('a reader that is busy holds the stream back', async () => {
  const steps: (() => void)[] = [];
  const { stream, failure, text } = begin(
    { ...TERMS, steps: null },
    () => new Promise<void>((done) => steps.push(done)),
  );
  stream.write('one\r\n');
  await turn();
  stream.end('two\r\n');
  await turn();
  assert.equal(text(), 'one\r\n');
  for (let at = 0; at < 3; at++) {
    steps[at]?.();
    await turn();
  }
  assert.equal(await failure, undefined);
  assert.equal(text(), 'one\r\ntwo\r\n');
});

test('the end of a message waits for a reader that is busy', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { stream, failure, text } = begin({ ...TERMS, lineEndings: 'Normalize' }, () => promise);
  let isOver = false;
  void failure.then(() => {
    isOver = true;
  });
  stream.end('From: a@x.example\r\n\r\none\r');
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.deepEqual([isOver, text().endsWith('one')], [false, true]);
  resolve();
  assert.equal(await failure, undefined);
  assert.match(text(), /one $/);
});

test('a refused message is taken no further, and what is left of it can be drained', async () => {
  const { stream, failure, text } = begin({ ...TERMS, steps: null });
  stream.write('one\r\n');
  await turn();
  stream.write('bare\n');
  isReply(await failure, REPLIES.bareLine);
  stream.resume();
  stream.end('rest\r\n');
  await turn();
  assert.equal(stream.readableEnded, true);
  assert.equal(text(), 'one\r\n');
});

test('a refusal of the last line, a reader that fails, and a client that goes away are told', async () => {
  const cut = begin();
  cut.stream.end('From: a@x.example\r\n\r\none\r');
  isReply(await cut.failure, REPLIES.bareLine);

  const full = begin(TERMS, () => Promise.reject(new Error('the disk is full')));
  full.stream.write('From: a@x.example\r\n\r\n');
  assert.equal((await full.failure)?.message, 'the disk is full');

  const away = begin();
  away.stream.write('From: a@x.example\r\n');
  away.stream.destroy();
  isReply(await away.failure, REPLIES.aborted);

  const broken = begin();
  broken.stream.destroy(new Error('reset'));
  assert.equal((await broken.failure)?.message, 'reset');
});

test('nothing settles while a reader is busy, also if the client goes away meanwhile', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { stream, failure } = begin(TERMS, () => promise);
  let isOver = false;
  void failure.then(() => {
    isOver = true;
  });
  stream.write('From: a@x.example\r\n\r\none\r\n');
  await turn();
  stream.destroy();
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.equal(isOver, false);
  resolve();
  isReply(await failure, REPLIES.aborted);
});

test('what is refused at the end is refused also if the reader was busy', async () => {
  const ownSenders = { whose: 'login app', allows: () => false };
  const takes: (() => Promise<void> | undefined)[] = [() => undefined, () => turn()];
  for (const take of takes) {
    const { stream, failure } = begin({ ...TERMS, steps: null, ownSenders }, take);
    stream.end('X-A: a\r\nFrom: ceo@x.example\r\n');
    assert.ok((await failure) instanceof Refusal);
  }
  const cut = begin({ ...TERMS, steps: null }, () => turn());
  cut.stream.end('From: a@x.example\r\n\r\none\r');
  isReply(await cut.failure, REPLIES.bareLine);
});
