import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { TLS_LEVELS, type TlsLevel } from '#crds/tlslevel.ts';
import { makePair } from '#test/kit/ca.ts';
import { holdTime } from '#test/kit/heldtime.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel, trusting } from '#test/kit/relayrig.ts';
import { type Materials, NO_MATERIALS } from '../task/materials.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { NextHop, Parcel } from './courier.ts';
import type { Verdict } from './verdict.ts';

const LEVELS = TLS_LEVELS.filter((level) => level !== 'Dane');
const pair = await makePair('mx.example.net');
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

function parcel(changes: Partial<Parcel> = {}): Parcel {
  const text = 'Subject: x\r\n\r\n.dot\r\nend\r\n';
  return makeParcel(text, {
    body: () => Readable.from([Buffer.from(text)], { objectMode: false }),
    ...changes,
  });
}

const TRUST = 'roots';

/** A client that sends to hops on this machine, whatever their names are. */
function courier(materials = NO_MATERIALS) {
  const client = clientWith(materials);
  ends.push(() => client.close());
  return {
    deliver: async (hop: NextHop, what: Parcel): Promise<HopResult> => {
      const budget = new AttemptBudget();
      const way = wayTo(hop);
      const resumed = await client.resume(way, what, budget);
      const result = resumed ?? (await client.deliver(way, '127.0.0.1', what, budget));
      budget.close();
      return result;
    },
    useMaterials: (materials: Materials) => client.useMaterials(materials),
    close: () => client.close(),
  };
}

interface Arrived {
  readonly from: string;
  readonly to: readonly string[];
  readonly body: string;
  readonly secure: boolean;
}

interface Sink {
  readonly port: number;
  readonly mail: Arrived[];
  /** Resolves when there are at least `count`. */
  until(count: number): Promise<void>;
  close(): void;
}

/** A next hop that takes everything, or only what `options` allow. */
async function openSink(options: SMTPServerOptions = {}, port = 0): Promise<Sink> {
  const mail: Arrived[] = [];
  let wake: () => void = () => undefined;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, { envelope, secure }, callback) => {
      buffer(stream).then((body) => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        mail.push({ from, to: envelope.rcptTo.map(({ address }) => address), body: body.toString(), secure });
        callback(null, 'taken');
        wake();
      }, callback);
    },
    ...options,
  });
  server.on('error', () => undefined);
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    mail,
    until: async (count) => {
      while (mail.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      server.close();
      for (const connection of server.connections) connection.close();
    },
  };
}

async function sink(...args: Parameters<typeof openSink>): Promise<Sink> {
  const opened = await openSink(...args);
  ends.push(() => opened.close());
  return opened;
}

/** A hand-made peer. It answers each line by the first rule that matches, and records the lines. */
async function peer(answer: (line: string, socket: Socket) => string | undefined) {
  const lines: string[] = [];
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 peer\r\n');
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        lines.push(line);
        const reply = answer(line, socket);
        if (reply !== undefined) socket.write(`${reply}\r\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, lines };
}

function nameVerdict(verdict: Verdict): string {
  if (verdict.kind === 'delivered') return 'delivered';
  return verdict.failure.permanent ? 'refused' : 'deferred';
}

function summary(result: HopResult): string {
  if (result.kind === 'unreachable') return `unreachable ${result.failure.status}`;
  const how = result.tls ? (result.tls.verified ? 'verified' : 'encrypted') : 'plain';
  return `${result.verdicts.map(nameVerdict).join(',')} ${how}`;
}

async function byLevel(port: number, materials = NO_MATERIALS): Promise<Partial<Record<TlsLevel, string>>> {
  const outcomes: Partial<Record<TlsLevel, string>> = {};
  for (const tlsLevel of LEVELS) {
    outcomes[tlsLevel] = summary(
      await courier(materials).deliver(hopTo(port, { tlsLevel, trustConfigMap: TRUST }), parcel()),
    );
  }
  return outcomes;
}

test('each level against a next hop that offers STARTTLS with a certificate nobody trusts', async () => {
  const { port, mail } = await sink(pair);
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered encrypted',
    Encrypt: 'delivered encrypted',
    Verify: 'unreachable 4.7.5',
  });
  assert.equal(mail[0]?.body, 'Subject: x\r\n\r\n.dot\r\nend\r\n');
});

test('a message of dots arrives as it is, however it is cut, and whole', async () => {
  const { port, mail } = await sink(pair);
  const body = '.\r\n..\r\nx\r\n'.repeat(1_000);
  const cut = [1, 3, 1_000, 1_003, 5_000].map((at, index, all) => body.slice(all[index - 1] ?? 0, at));
  const pieces = [...cut, body.slice(5_000)].map((piece) => Buffer.from(piece));
  const ways = [() => Readable.from(pieces, { objectMode: false }), () => Buffer.from(body)];
  for (const [index, way] of ways.entries()) {
    const result = await courier().deliver(hopTo(port), parcel({ bytes: body.length, body: way }));
    assert.equal(summary(result), 'delivered encrypted');
    assert.equal(mail[index]?.body, body);
  }
});

test('a whole message whose last line has no end gets one, and the session takes another', async () => {
  const { port, mail } = await sink(pair);
  const over = courier();
  for (const text of ['Subject: x\r\n\r\nno end', 'Subject: y\r\n\r\n']) {
    const result = await over.deliver(hopTo(port), parcel({ body: () => Buffer.from(text) }));
    assert.equal(summary(result), 'delivered encrypted');
  }
  assert.deepEqual(
    mail.map(({ body }) => body),
    ['Subject: x\r\n\r\nno end\r\n', 'Subject: y\r\n\r\n'],
  );
});

/** A body whose second piece comes only after the next hop has answered. */
function slowBody(answered: Promise<void>) {
  return async function* () {
    yield Buffer.from('Subject: x\r\n\r\nfirst\r\n');
    await answered;
    yield Buffer.from('second\r\n');
  };
}

for (const [reply, outcome] of [
  ['250 taken', 'deferred plain'],
  ['552 too large', 'refused plain'],
]) {
  test(`"${reply}" in the middle of a message is ${outcome}, and nothing more is said in its session`, async () => {
    const answered = Promise.withResolvers<void>();
    const { port, lines } = await peer((line, socket) => {
      if (line.startsWith('EHLO')) return '250 peer';
      if (line === 'DATA') return '354 go on';
      if (line !== 'first') return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
      socket.once('close', () => answered.resolve());
      return reply;
    });
    const body = slowBody(answered.promise);
    assert.equal(
      summary(await courier().deliver(hopTo(port, { tlsLevel: 'None' }), parcel({ body }))),
      outcome,
    );
    await answered.promise;
    assert.equal(lines.at(-1), 'first');
  });
}

test('a body that cannot be read to its end never ends at the next hop, and waits', async () => {
  const { port, mail } = await sink(pair);
  async function* body() {
    yield Buffer.from('Subject: x\r\n\r\nfirst\r\n');
    throw new Error('the disk does not answer');
  }
  const result = await courier().deliver(hopTo(port), parcel({ body }));
  assert.equal(summary(result), 'deferred encrypted');
  assert.equal(mail.length, 0);
});

test('each level against a next hop without STARTTLS', async () => {
  const { port } = await sink();
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('each level against a next hop whose handshake breaks: only Opportunistic goes on in plain text', async () => {
  const { port } = await peer((line, socket) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line === 'STARTTLS') {
      socket.write('220 go on\r\n');
      socket.end('this is no TLS\r\n');
      return undefined;
    }
    if (line === 'DATA') return '354 go on';
    if (line === '.') return '250 taken';
    return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
  });
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('each level against a next hop that refuses STARTTLS', async () => {
  const { port } = await peer((line) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line === 'STARTTLS') return '454 not now';
    if (line === 'DATA') return '354 go on';
    if (line === '.') return '250 taken';
    return /^(MAIL|RCPT|QUIT)/.test(line) ? '250 ok' : undefined;
  });
  assert.deepEqual(await byLevel(port), {
    None: 'delivered plain',
    Opportunistic: 'delivered plain',
    Encrypt: 'unreachable 4.7.5',
    Verify: 'unreachable 4.7.5',
  });
});

test('Verify wants the chain and the name, by the bundle alone', async () => {
  const { port } = await sink(pair);
  const verify = hopTo(port, { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST });
  const wrongName = await courier(trusting(TRUST, pair.cert)).deliver(verify, parcel());
  assert.match(wrongName.kind === 'unreachable' ? wrongName.failure.text : '', /altnames|does not match/i);
  const nobody = await courier(trusting(TRUST, '')).deliver(verify, parcel());
  assert.equal(summary(nobody), 'unreachable 4.7.5');
  const named = await sink(await makePair('localhost'));
  const other = await courier(trusting(TRUST, pair.cert)).deliver({ ...verify, port: named.port }, parcel());
  assert.equal(summary(other), 'unreachable 4.7.5');
});

test('Verify delivers where both hold, also over implicit TLS, and a new bundle counts for new connections', async () => {
  const local = await makePair('localhost');
  const starttls = await sink(local);
  const implicit = await sink({ ...local, secure: true });
  const one = courier(trusting(TRUST, ''));
  const verify = { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST } as const;
  assert.equal(summary(await one.deliver(hopTo(starttls.port, verify), parcel())), 'unreachable 4.7.5');
  one.useMaterials(trusting(TRUST, local.cert));
  assert.equal(summary(await one.deliver(hopTo(starttls.port, verify), parcel())), 'delivered verified');
  const secure = hopTo(implicit.port, { ...verify, implicitTLS: true });
  assert.equal(summary(await one.deliver(secure, parcel())), 'delivered verified');
});

test('an MX host must prove the domain, because the record that named it is not signed', async () => {
  const { port } = await sink(await makePair('localhost'));
  const cert = (await makePair('localhost')).cert;
  const hop = {
    ...hopTo(port, { tlsLevel: 'Verify', host: 'localhost', trustConfigMap: TRUST }),
    mxOf: 'example.net',
  };
  assert.equal(summary(await courier(trusting(TRUST, cert)).deliver(hop, parcel())), 'unreachable 4.7.5');
  const proven = await makePair('example.net');
  const good = await sink(proven);
  assert.equal(
    summary(await courier(trusting(TRUST, proven.cert)).deliver({ ...hop, port: good.port }, parcel())),
    'delivered verified',
  );
});

test('implicit TLS never falls back', async () => {
  const { port } = await sink();
  const hop = hopTo(port, { implicitTLS: true, tlsLevel: 'Opportunistic' });
  assert.equal(summary(await courier().deliver(hop, parcel())), 'unreachable 4.7.5');
});

test('each recipient has its own verdict', async () => {
  const { port } = await sink({
    onRcptTo: ({ address }, _session, callback) => {
      const code = { 'later@example.net': 450, 'never@example.net': 550 }[address];
      callback(code ? Object.assign(new Error('no'), { responseCode: code }) : null);
    },
  });
  const to = ['never@example.net', 'you@example.net', 'later@example.net'];
  const result = await courier().deliver(hopTo(port), parcel({ to }));
  assert.equal(summary(result), 'refused,delivered,deferred plain');
});

test('a refused envelope does not spoil the next message', async () => {
  const { port } = await sink({
    onRcptTo: ({ address }, _session, callback) => {
      callback(address.startsWith('never') ? Object.assign(new Error('no'), { responseCode: 550 }) : null);
    },
  });
  const one = courier();
  const outcomes: string[] = [];
  for (const to of ['never@example.net', 'you@example.net', 'never@example.net', 'you@example.net']) {
    outcomes.push(summary(await one.deliver(hopTo(port), parcel({ to: [to] }))));
  }
  assert.deepEqual(outcomes, ['refused plain', 'delivered plain', 'refused plain', 'delivered plain']);
});

test('a connection is used again', async () => {
  let connections = 0;
  const { port, mail } = await sink({
    onConnect: (_session, callback) => {
      connections += 1;
      callback();
    },
  });
  const one = courier();
  await one.deliver(hopTo(port), parcel());
  await one.deliver(hopTo(port), parcel());
  assert.deepEqual([connections, mail.length], [1, 2]);
});

test('a kept connection that its server has given up is replaced at once', async () => {
  let sessions = 0;
  const { port } = await peer((line) => {
    if (line.startsWith('EHLO')) sessions += 1;
    if (line === 'MAIL FROM:<second@example.com>' && sessions === 1) return '421 idle for too long';
    if (line === 'DATA') return '354 go on';
    return /^(EHLO|MAIL|RCPT|QUIT|\.$)/.test(line) ? '250 ok' : undefined;
  });
  const one = courier();
  assert.equal(summary(await one.deliver(hopTo(port), parcel())), 'delivered plain');
  const second = await one.deliver(hopTo(port), parcel({ from: 'second@example.com' }));
  assert.deepEqual([summary(second), sessions], ['delivered plain', 2]);
});

test('a connection that ends after the final dot defers: the next hop may have the message', async () => {
  const { port } = await peer((line, socket) => {
    if (line.startsWith('EHLO')) return '250 peer';
    if (line === 'DATA') return '354 go on';
    if (line === '.') socket.destroy();
    return /^(MAIL|RCPT)/.test(line) ? '250 ok' : undefined;
  });
  assert.equal(summary(await courier().deliver(hopTo(port), parcel())), 'deferred plain');
});

test('an international address is not sent to a next hop that does not take it', async () => {
  const { port, lines } = await peer((line) => (line.startsWith('EHLO') ? '250 peer' : '250 ok'));
  const result = await courier().deliver(hopTo(port), parcel({ to: ['jürgen@example.net'] }));
  assert.equal(summary(result), 'refused plain');
  assert.ok(!lines.some((line) => line.startsWith('MAIL')));
  const able = await sink();
  assert.equal(
    summary(await courier().deliver(hopTo(able.port), parcel({ to: ['jürgen@example.net'] }))),
    'delivered plain',
  );
});

test('a hop that wants a login is not used without one', async () => {
  const { port, mail } = await sink();
  const result = await courier().deliver(hopTo(port, { credentialsSecret: 'login' }), parcel());
  assert.equal(summary(result), 'unreachable 4.7.0');
  assert.deepEqual(mail, []);
});

test('closing ends a connection that is still being made', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  ends.push(() => silent.close());
  const one = courier();
  const result = one.deliver(hopTo((silent.address() as AddressInfo).port), parcel());
  one.close();
  assert.equal((await result).kind, 'unreachable');
});

async function passing(
  ms: number,
  pass: (ms: number) => void,
  begun: Promise<unknown>,
  result: Promise<HopResult>,
) {
  await begun;
  // The client sees the connection in a later turn of the event loop.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  pass(ms);
  return result;
}

test('a next hop that accepts and says nothing is given up after five minutes', async (context) => {
  const pass = holdTime(context);
  const connected = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    connected.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const delivery = courier().deliver(hopTo(port, { tlsLevel: 'None' }), parcel());
  const result = await passing(5 * 60_000, pass, connected.promise, delivery);
  assert.ok(result.kind === 'unreachable' && !result.hadSession);
  assert.equal(result.failure.status, '4.4.1');
  assert.equal(result.failure.cause, 'greeting');
  assert.match(result.failure.text, /^127\.0\.0\.1:\d+: no whole reply within five minutes/);
});

test('a next hop that answers a byte now and then is given up after five minutes', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<void>();
  const slow = await peer((line, socket) => {
    if (!line.startsWith('MAIL')) return line.startsWith('EHLO') ? '250 peer' : undefined;
    socket.write('2');
    asked.resolve();
    return undefined;
  });
  const delivery = courier().deliver(hopTo(slow.port, { tlsLevel: 'None' }), parcel());
  const result = await passing(5 * 60_000, pass, asked.promise, delivery);
  assert.ok(result.kind === 'unreachable' && result.hadSession);
  assert.match(result.failure.text, /no whole reply within five minutes, only 2$/);
});

/** The replies of a hop that accepts everything, except for one line. */
function usual(line: string): string | undefined {
  if (line === 'DATA') return '354 go on';
  return /^(EHLO|MAIL|RCPT|QUIT|\.$)/.test(line) ? '250 ok' : undefined;
}

/** Waits until data on the sockets has arrived. */
async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

for (const [how, body] of [
  ['in memory', undefined],
  [
    'in pieces',
    async function* () {
      yield Buffer.from('Subject: x\r\n\r\nx\r\n');
    },
  ],
] as const) {
  test(`the reply to the final dot has ten minutes, whatever empty lines come: a message ${how}`, async (context) => {
    const pass = holdTime(context);
    const dot = Promise.withResolvers<Socket>();
    const slow = await peer((line, socket) => {
      if (line !== '.') return usual(line);
      dot.resolve(socket);
      return undefined;
    });
    let isDone = false;
    const hop = hopTo(slow.port, { tlsLevel: 'None' });
    const delivery = courier().deliver(
      hop,
      parcel(body ? { body } : { body: () => Buffer.from('x: y\r\n\r\n') }),
    );
    void delivery.then(() => {
      isDone = true;
    });
    const socket = await dot.promise;
    for (let minute = 0; minute < 9; minute += 1) {
      pass(60_000);
      socket.write('\r\n');
      await turns();
      assert.equal(isDone, false);
    }
    pass(60_000);
    assert.equal(summary(await delivery), 'deferred plain');
  });
}

test('empty lines are no reply: before DATA the five minutes go on', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<Socket>();
  const slow = await peer((line, socket) => {
    if (!line.startsWith('RCPT')) return usual(line);
    asked.resolve(socket);
    return undefined;
  });
  const delivery = courier().deliver(hopTo(slow.port, { tlsLevel: 'None' }), parcel());
  const socket = await asked.promise;
  for (let minute = 0; minute < 5; minute += 1) {
    await turns();
    socket.write('\r\n');
    await turns();
    pass(60_000);
  }
  const result = await delivery;
  assert.ok(result.kind === 'unreachable');
  assert.match(result.failure.text, /no whole reply within five minutes/);
});

test('a handshake that stands still is given up after five minutes, and nothing follows in plain text', async (context) => {
  const pass = holdTime(context);
  const hello = Promise.withResolvers<void>();
  const slow = await peer((line) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line !== 'STARTTLS') return usual(line);
    hello.resolve();
    return '220 go on';
  });
  const delivery = courier().deliver(hopTo(slow.port), parcel());
  await hello.promise;
  await turns(50);
  pass(5 * 60_000);
  const result = await delivery;
  assert.ok(result.kind === 'unreachable');
  assert.deepEqual([result.failure.cause, result.failure.status], ['handshake', '4.4.1']);
  assert.ok(!slow.lines.some((line) => line.startsWith('MAIL')));
});

test('a hop that does not answer QUIT keeps no connection', async (context) => {
  const pass = holdTime(context);
  const quit = Promise.withResolvers<Socket>();
  const { port } = await peer((line, socket) => {
    if (line !== 'QUIT') return usual(line);
    quit.resolve(socket);
    return undefined;
  });
  const one = courier();
  assert.equal(summary(await one.deliver(hopTo(port, { tlsLevel: 'None' }), parcel())), 'delivered plain');
  one.close();
  const socket = await quit.promise;
  const closed = once(socket, 'close');
  pass(10_000);
  await closed;
});

for (const [where, line] of [
  ['greeting', ''],
  ['reply to EHLO', 'EHLO'],
  ['reply to HELO', 'HELO'],
] as const) {
  test(`a hop with our name in its ${where} is a loop, in any case and with a final dot`, async () => {
    const ours = 'Relay.Example.COM.';
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`220 ${line === '' ? ours : 'peer'} ESMTP\r\n`);
      socket.on('data', (chunk) => {
        const said = chunk.toString();
        if (line === 'HELO' && said.startsWith('EHLO')) socket.write('502 no\r\n');
        else if (/^(EHLO|HELO)/.test(said)) socket.write(`250 ${line === '' ? 'peer' : ours}\r\n`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    const result = await courier().deliver(hopTo((server.address() as AddressInfo).port), parcel());
    assert.equal(summary(result), 'unreachable 5.4.6');
  });
}

test('a reply without end is not kept in memory', async () => {
  const { port } = await peer((line, socket) => {
    if (!line.startsWith('EHLO')) return usual(line);
    const more = () => {
      if (!socket.destroyed) socket.write('250-SIZE\r\n'.repeat(1_000), () => setImmediate(more));
    };
    more();
    return undefined;
  });
  const result = await courier().deliver(hopTo(port), parcel());
  assert.match(result.kind === 'unreachable' ? result.failure.text : '', /maximum allowed size/);
});

/** A peer that says nothing after the command, or nothing at all. Resolves when a client waits for it. */
async function waitingPeer(until: RegExp | undefined) {
  const waits = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (until === undefined) return waits.resolve(socket);
    socket.write('220 peer\r\n');
    socket.on('data', (chunk) => {
      if (until.test(chunk.toString())) waits.resolve(socket);
      else socket.write('250 peer\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, waits: waits.promise };
}

for (const [when, until] of [
  ['before the greeting', undefined],
  ['in EHLO', /^EHLO/],
  ['in the envelope', /^MAIL/],
] as const)
  test(`changed materials that end a connection ${when} are no failure of the hop`, async () => {
    const { port, waits } = await waitingPeer(until);
    const client = courier(trusting(TRUST, pair.cert));
    const hop = hopTo(port, { tlsLevel: 'Opportunistic', trustConfigMap: TRUST });
    const result = client.deliver(hop, parcel());
    await waits;
    client.useMaterials(trusting(TRUST, `${pair.cert}\n`));
    const ended = await result;
    assert.ok(ended.kind === 'unreachable');
    assert.equal(ended.failure.cause, 'local');
    assert.match(ended.failure.text, /its login, certificate or trust bundle changed/);
  });

test('a body that cannot be opened closes the connection and ends the attempt', async () => {
  const closed = Promise.withResolvers<void>();
  const { port } = await peer((line, socket) => {
    socket.once('close', () => closed.resolve());
    return line.startsWith('EHLO') ? '250 peer' : '250 ok';
  });
  const body = () => {
    throw new Error('the body is gone');
  };
  const budget = new AttemptBudget();
  const client = clientWith();
  ends.push(() => client.close());
  const way = wayTo(hopTo(port, { tlsLevel: 'None' }));
  await assert.rejects(client.deliver(way, '127.0.0.1', parcel({ body }), budget), /the body is gone/);
  await closed.promise;
  assert.equal(await client.resume(way, parcel(), budget), undefined);
  budget.close();
});
