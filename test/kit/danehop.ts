/** A delivery to a host with TLSA records, on a real handshake: the test says which chain the host sends. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { AttemptBudget } from '#relay/delivery/budget.ts';
import type { NextHop } from '#relay/delivery/courier.ts';
import type { SmtpClient } from '#relay/delivery/smtpclient.ts';
import { usableRecords } from '#relay/delivery/tlsa.ts';
import { NO_FINDINGS } from '#relay/delivery/tlsfindings.ts';
import type { Pair } from './ca.ts';
import { Hop } from './hop.ts';
import { clientWith, wayTo } from './hopway.ts';
import { OpensslAuthority } from './opensslca.ts';
import { freePort } from './ports.ts';
import { hopTo, makeParcel } from './relayrig.ts';
import { tlsaRecord } from './tlsarecord.ts';

export const HOST = 'mx.example.net';
export const openssl = new OpensslAuthority();
const client = newClient();
after(() => openssl.remove());

/** It knows no anchor yet. */
export function newClient(): SmtpClient {
  const made = clientWith();
  after(() => made.close());
  return made;
}

type Raw = Parameters<typeof usableRecords>[0][number];
export type Kind = readonly [usage: number, selector: number, matching: number];

export const raw = ({ cert }: Pick<Pair, 'cert'>, kind: Kind): Raw => tlsaRecord(cert, ...kind);

interface Delivered {
  /** "proven", or the cause. */
  readonly word: string;
  /** Of the failure. */
  readonly text: string;
  readonly sessions: number;
  readonly judgement: unknown;
}

/** A delivery to a host that sends this chain. */
export async function deliver(
  chain: readonly Pick<Pair, 'cert' | 'key'>[],
  records: readonly Raw[],
  { by = client, base = HOST, ...changes }: Partial<NextHop> & { by?: SmtpClient; base?: string } = {},
): Promise<Delivered> {
  const [leaf] = chain;
  const pair = { cert: chain.map(({ cert }) => cert).join('\n'), key: leaf?.key ?? '', serial: '' };
  const port = await freePort();
  const server = await Hop.start({ port, pair, tls: { ciphers: 'DEFAULT:@SECLEVEL=0' } });
  const budget = new AttemptBudget();
  const dane = { kind: 'records', base, records: usableRecords(records) } as const;
  const hop = { ...hopTo(port, { host: base }), mxOf: 'example.net', isMxSigned: true, ...changes };
  const result = await by.deliver(
    wayTo(hop, { ...NO_FINDINGS, dane }),
    '127.0.0.1',
    makeParcel('Subject: x\r\n\r\nx\r\n'),
    budget,
  );
  budget.close();
  const { sessions } = server;
  await server.down();
  if (result.kind === 'unreachable') {
    const { cause, text } = result.failure;
    return { word: cause, text, sessions, judgement: undefined };
  }
  assert.equal(server.taken.length, 1);
  return { word: 'proven', text: '', sessions, judgement: result.judgement };
}

export const word = async (...args: Parameters<typeof deliver>) => (await deliver(...args)).word;
