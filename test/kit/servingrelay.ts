/**
 * A whole relay and its next hop, for each test anew: importing this file begins a hop before each test, and ends what
 * the test left.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach } from 'node:test';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import type { Relay, RelayOptions } from '#relay/supervisor/options.ts';
import type { PairText } from '#relay/task/messages.ts';
import { makePair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, listenerAt, mount, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';

export let dirs: PodDirs;
export let sink: Sink;
let relay: Relay | undefined;
export let port: number;
export const pair = await makePair();

beforeEach(async () => {
  dirs = podDirs();
  port = await freePort();
  await openSink(await freePort());
});
afterEach(async () => {
  await relay?.stop();
  relay = undefined;
  await sink.down();
  dirs.remove();
});

export async function openSink(at: number): Promise<void> {
  sink = await Sink.start({ port: at, pair: await makePair('mx.example.net') });
}

export function stopAtEnd(started: Relay): void {
  relay = started;
}

export const mountPolicy = (policy: Policy) =>
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: printPolicy(policy) });
export const mountPair = ({ cert, key }: PairText) =>
  mount(dirs.certificateDir, { 'tls.crt': cert, 'tls.key': key });
export const outbound = () => ({ smartHosts: [hopTo(sink.port, { tlsLevel: 'Encrypt' })] });
export const policyWith = (
  starttls: 'Disabled' | 'Enabled' | 'Required',
  more: Partial<Policy['inbound']> = {},
) => policyOf({ listeners: [listenerAt(port, { starttls })], ...more }, outbound());

export async function start(changes: Partial<RelayOptions> = {}): Promise<Relay> {
  relay = await startPodRelay(dirs, { processes: 2, ...changes });
  return relay;
}

export async function greeted(): Promise<SmtpClient> {
  const talker = await SmtpClient.connect(port);
  assert.match(await talker.reply(), /^220 /);
  return talker;
}

export async function secured(): Promise<SmtpClient> {
  const talker = await greeted();
  assert.deepEqual(await talker.codes('EHLO client.example', 'STARTTLS'), [250, 220]);
  await talker.startTls({});
  await talker.command('EHLO client.example');
  return talker;
}

export const send = (talker: SmtpClient, subject = 'x') =>
  talker.codes(
    'MAIL FROM:<me@example.com>',
    'RCPT TO:<you@example.net>',
    'DATA',
    `Subject: ${subject}\r\n\r\nhi\r\n.`,
  );
export const SENT = [250, 250, 354, 250];
