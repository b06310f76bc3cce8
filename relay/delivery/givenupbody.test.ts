/**
 * A message that the relay gives up on while its body is on the way: the hop never gets its end, so it cannot take a
 * message that the relay sends again.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { Hop } from '#crds/policyfile.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { Parcel } from './courier.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

const TEXT = 'Subject: x\r\n\r\nx\r\n';

async function* inPieces() {
  yield Buffer.from(TEXT);
}

const BODIES: readonly [name: string, body: Parcel['body']][] = [
  ['whole', () => Buffer.from(TEXT)],
  ['in pieces', inPieces],
];

interface Case {
  /** What the hop says to DATA. With PIPELINING also to the commands before. */
  readonly says: string;
  readonly reason: RegExp;
  readonly pipelines?: true;
  readonly to?: readonly string[];
  readonly changes?: Partial<Hop>;
}

/** A hop that takes each message whose end it gets, whatever it has said before. */
async function startEagerHop({ says, pipelines }: Case, atData: (socket: Socket) => void = () => undefined) {
  const taken: string[] = [];
  const closed = Promise.withResolvers<void>();
  const heard = (line: string, socket: Socket) => {
    if (/^(EHLO|LHLO)/.test(line))
      socket.write(`250-hop\r\n${pipelines ? '250-PIPELINING\r\n' : ''}250 SIZE\r\n`);
    else if (line === 'DATA') {
      socket.write(says);
      atData(socket);
    } else if (line === '.') taken.push(line);
    else if (/^(MAIL|RCPT)/.test(line) && !pipelines) socket.write('250 ok\r\n');
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('close', () => closed.resolve());
    socket.write('220 hop\r\n');
    let rest = '';
    socket.on('data', (chunk) => {
      const lines = `${rest}${chunk}`.split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) heard(line, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, taken, closed: closed.promise };
}

function describe(result: HopResult): string {
  if (result.kind === 'unreachable') return result.failure.text;
  return result.verdicts
    .map((verdict) => (verdict.kind === 'failed' ? verdict.failure.text : 'delivered'))
    .join();
}

async function sendTo(port: number, more: Partial<Parcel>, changes: Partial<Hop> = {}): Promise<string> {
  const client = clientWith();
  const budget = new AttemptBudget();
  ends.push(
    () => client.close(),
    () => budget.close(),
  );
  const way = wayTo(hopTo(port, { tlsLevel: 'None', ...changes }));
  return describe(await client.deliver(way, '127.0.0.1', makeParcel(TEXT, more), budget));
}

const LINES = 'x'.repeat(998).concat('\r\n').repeat(16_000);

async function* linesInPieces() {
  yield Buffer.from(TEXT);
  for (let at = 0; at < LINES.length; at += 100_000) yield Buffer.from(LINES.slice(at, at + 100_000));
}

for (const [name, says, reason] of [
  ['two replies', '451 4.3.0 later\r\n250 ok', /451 4\.3\.0 later/],
  ['421', '421 4.3.0 later', /421 4\.3\.0 later/],
  ['a refusal for now', '451 4.3.0 later', /451 4\.3\.0 later/],
  ['a refusal for good', '552 5.3.4 too large', /552 5\.3\.4 too large/],
] as const)
  for (const protocol of ['SMTP', 'LMTP'] as const)
    for (const [kind, body] of [
      ['whole', () => Buffer.from(TEXT + LINES)],
      ['in pieces', linesInPieces],
    ] as const)
      test(`${protocol}: ${name}, while a large body is on the way ${kind}: its end never leaves`, async () => {
        const hop = await startEagerHop({ says: '354 go\r\n', reason }, (socket) => {
          socket.pause();
          setTimeout(() => socket.write(`${says}\r\n`), 100);
          // The hop reads on, as if it had said nothing.
          setTimeout(() => socket.resume(), 300);
        });
        const said = await sendTo(hop.port, { body }, { protocol });
        await hop.closed;
        assert.match(said, reason);
        assert.deepEqual(hop.taken, []);
      });

for (const [kind, body] of [
  ['whole', () => Buffer.from(TEXT + LINES)],
  ['in pieces', linesInPieces],
] as const)
  test(`the hop ends its side, while a large body is on the way ${kind}: its end never leaves`, async () => {
    const hop = await startEagerHop(
      { says: '354 go\r\n', reason: /ended the connection before the message ended/ },
      (socket) => {
        socket.pause();
        setTimeout(() => socket.end(), 100);
        setTimeout(() => socket.resume(), 300);
      },
    );
    const said = await sendTo(hop.port, { body });
    await hop.closed;
    assert.match(said, /ended the connection before the message ended/);
    assert.deepEqual(hop.taken, []);
  });

const TWO = ['a@example.net', 'b@example.net'];

const CASES: Readonly<Record<string, Case>> = {
  '354 and 451': { says: '354 go\r\n451 4.3.0 later\r\n', reason: /451 4\.3\.0 later/ },
  '354 and 421': { says: '354 go\r\n421 4.3.0 later\r\n', reason: /421 4\.3\.0 later/ },
  '354 twice': { says: '354 go\r\n354 go\r\n', reason: /nobody asked for: 354/ },
  'LMTP: 354 and a refusal of each recipient': {
    says: '354 go\r\n452 4.2.2 full\r\n452 4.2.2 full\r\n',
    to: TWO,
    changes: { protocol: 'LMTP' },
    reason: /452 4\.2\.2 full/,
  },
  '250 to DATA': { says: '250 ok\r\n', reason: /DATA is answered without 354: 250 ok/ },
  'PIPELINING: one 250 too many': {
    says: `${'250 ok\r\n'.repeat(4)}354 go\r\n`,
    pipelines: true,
    to: TWO,
    reason: /DATA is answered without 354: 250 ok/,
  },
};

for (const [name, one] of Object.entries(CASES))
  for (const [kind, body] of BODIES)
    test(`${name}, and a body ${kind}: its end never leaves, and the mail waits`, async () => {
      const hop = await startEagerHop(one);
      const said = await sendTo(hop.port, { body, to: one.to ?? ['a@example.net'] }, one.changes);
      await hop.closed;
      assert.match(said, one.reason);
      assert.deepEqual(hop.taken, []);
    });
