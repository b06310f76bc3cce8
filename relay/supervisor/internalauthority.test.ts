/**
 * A new authority inside the cluster: with the certificates of a relay by themselves, and in a story with a real relay
 * whose clients trust only the authorities that they have read.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { AUTHORITIES_FILE_NAME, printAuthorities } from '#crds/authoritiesfile.ts';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import { type Authority, makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { HOSTNAME, listenerAt, mount, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { until } from '#test/kit/wait.ts';
import type { Log } from '../observe/log.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { Certificates } from './certificates.ts';
import type { Relay } from './options.ts';

const INSIDE = 'relay.mail.svc';
const WAIT_MS = 1_000;
const host = await makePair(HOSTNAME);
const [old, fresh] = [await makeAuthority('old'), await makeAuthority('new')];
const [first, next] = [await old.issue([INSIDE]), await fresh.issue([INSIDE])];
const policy = policyOf({ internalTls: { secret: 'inside', names: [INSIDE] } });

/** The certificates of one relay, on clocks that the test sets. */
function rig() {
  let ms = 0;
  const lines: unknown[] = [];
  const clocks = { monotonic: () => ms, wall: () => Date.now() + ms };
  const log: Log = (event, fields = {}) => {
    const follows = fields['follows'] === undefined ? [] : [fields['follows'] !== null];
    lines.push([event, fields['serial'], ...follows]);
  };
  const certificates = new Certificates(log, WAIT_MS, clocks);
  const look = (
    pair: Partial<Pair>,
    authority: string | undefined,
    published: string | undefined,
    later = 0,
  ) => {
    ms += later;
    const files = { 'tls.crt': pair.cert, 'tls.key': pair.key, 'ca.crt': authority };
    const given = Object.entries(files).filter((file): file is [string, string] => file[1] !== undefined);
    const materials = { ...NO_MATERIALS, secrets: { inside: Object.fromEntries(given) } };
    const authorities = published === undefined ? undefined : printAuthorities(published);
    const inputs = {
      policy: undefined,
      scale: undefined,
      authorities,
      ...host,
      next: null,
      materials,
      tables: {},
    };
    certificates.look(inputs, policy, new Date());
    return certificates.status(policy, new Date());
  };
  const pass = (later: number) => {
    ms += later;
  };
  return { certificates, look, lines, pass };
}

/** Which of the two authorities a text has, without regard to the line ends around them. */
function namesIn(pem: string | null | undefined): string {
  const body = ({ cert }: Authority) => cert.slice(30, 300);
  return [
    ...(pem?.includes(body(old)) ? ['old'] : []),
    ...(pem?.includes(body(fresh)) ? ['new'] : []),
  ].join();
}

test('both authorities are told while the new pair waits, and the new one alone when it is served', () => {
  const { certificates, look, lines, pass } = rig();
  look(first, old.cert, old.cert);
  const waits = look(next, fresh.cert, old.cert);
  assert.equal(waits.internalCertificate?.serial, first.serial);
  assert.equal(waits.internalCertificateProblem, null);
  assert.equal(namesIn(waits.internalAuthority), 'old');
  assert.equal(waits.nextInternalCertificate?.serial, next.serial);
  assert.equal(namesIn(waits.nextInternalCertificate?.authority), 'new');
  assert.equal(waits.nextInternalCertificate?.follows, null);

  const both = old.cert + fresh.cert;
  const known = look(next, fresh.cert, both);
  assert.match(String(known.nextInternalCertificate?.follows), /^\d{4}-.*\dZ$/);
  pass(WAIT_MS - 1);
  assert.equal(certificates.isDue(), false);
  pass(1);
  assert.equal(certificates.isDue(), true);
  const served = look(next, fresh.cert, both);
  assert.equal(served.internalCertificate?.serial, next.serial);
  assert.equal(namesIn(served.internalAuthority), 'new');
  assert.equal(served.nextInternalCertificate, null);
  assert.equal(certificates.isDue(), false);
  assert.deepEqual(lines.slice(1), [
    ['certificate_loaded', first.serial],
    ['certificate_waits', next.serial, false],
    ['certificate_waits', next.serial, true],
    ['certificate_replaced', next.serial],
  ]);
});

test('a pair that waits goes when another one is mounted, and leaves no fault of an earlier one', async () => {
  const { look } = rig();
  look(first, old.cert, old.cert);
  const mismatch = { cert: next.cert, key: first.key };
  assert.equal(look(mismatch, fresh.cert, old.cert).internalCertificateProblem?.reason, 'KeyMismatch');
  assert.equal(look(next, fresh.cert, old.cert).internalCertificateProblem, null);
  const again = look(mismatch, fresh.cert, old.cert);
  assert.equal(again.internalCertificateProblem?.reason, 'KeyMismatch');
  assert.equal(again.nextInternalCertificate, null);
  assert.equal(namesIn(again.internalAuthority), 'old');
  look(next, fresh.cert, old.cert);
  const renewed = await old.issue([INSIDE]);
  const back = look(renewed, old.cert, old.cert, WAIT_MS);
  assert.equal(back.internalCertificate?.serial, renewed.serial);
  assert.equal(back.nextInternalCertificate, null);
});

test('a second pair of the new authority does not begin the wait again', async () => {
  const { certificates, look, pass } = rig();
  const both = old.cert + fresh.cert;
  look(first, old.cert, old.cert);
  look(next, fresh.cert, both);
  const another = await fresh.issue([INSIDE]);
  assert.equal(look(another, fresh.cert, both, WAIT_MS / 2).nextInternalCertificate?.serial, another.serial);
  pass(WAIT_MS / 2);
  assert.equal(certificates.isDue(), true);
});

test('an authority that changes alone never hides the one that issued the pair in service', () => {
  const { look } = rig();
  look(first, old.cert, old.cert);
  assert.equal(namesIn(look(first, fresh.cert, old.cert).internalAuthority), 'old,new');
  assert.equal(namesIn(look(first, fresh.cert, old.cert).internalAuthority), 'old,new');
  assert.equal(namesIn(look(first, undefined, old.cert).internalAuthority), 'old');
  assert.equal(namesIn(look(first, old.cert + fresh.cert, old.cert).internalAuthority), 'old,new');
  assert.equal(namesIn(look(first, old.cert, old.cert).internalAuthority), 'old');
});

test('a renewal by the same authority is served at once, however young its publication is', async () => {
  const { look } = rig();
  look(first, old.cert, undefined);
  const renewed = await old.issue([INSIDE]);
  assert.equal(look(renewed, old.cert, old.cert).internalCertificate?.serial, renewed.serial);
});

test('an authority that came alone before its pair is no authority of the pair in service', () => {
  const { look } = rig();
  look(first, old.cert, old.cert);
  look(first, old.cert + fresh.cert, old.cert);
  assert.equal(look(next, fresh.cert, old.cert + fresh.cert).internalCertificate?.serial, first.serial);
});

test('a policy without names inside the cluster leaves nothing that waits', () => {
  const { certificates, look } = rig();
  look(first, old.cert, old.cert);
  look(next, fresh.cert, old.cert);
  const inputs = { policy: undefined, scale: undefined, authorities: undefined, ...host };
  certificates.look({ ...inputs, next: null, materials: NO_MATERIALS, tables: {} }, policyOf(), new Date());
  assert.equal(certificates.isDue(), false);
  assert.equal(certificates.status(policy, new Date()).nextInternalCertificate, null);
});

test('clients that read the published authorities verify a real relay at every moment of the change', async (t) => {
  const dirs = podDirs();
  let relay: Relay | undefined;
  t.after(async () => {
    await relay?.stop();
    dirs.remove();
  });
  const port = await freePort();
  const listeners = [listenerAt(port, { starttls: 'Disabled', implicitTLS: true })];
  const text = printPolicy(policyOf({ listeners, internalTls: { secret: 'inside', names: [INSIDE] } }));
  const publish = (pem: string) =>
    mount(dirs.policyDir, { [POLICY_FILE_NAME]: text, [AUTHORITIES_FILE_NAME]: printAuthorities(pem) });
  const issue = ({ cert, key }: Pair, authority: string) =>
    mount(join(dirs.secretsDir, 'inside'), { 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority });
  const serialFor = async (ca: string) => {
    const socket = connect({ port, host: '127.0.0.1', servername: INSIDE, ca });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().serialNumber;
    } finally {
      socket.destroy();
    }
  };
  mkdirSync(join(dirs.secretsDir, 'inside'));
  mount(dirs.certificateDir, { 'tls.crt': host.cert, 'tls.key': host.key });
  publish(old.cert);
  issue(first, old.cert);
  relay = await startPodRelay(dirs, { authorityMs: WAIT_MS });
  assert.equal(await serialFor(old.cert), first.serial);

  issue(next, fresh.cert);
  await until('the new pair to wait', () => relay?.status().nextInternalCertificate);
  assert.equal(await serialFor(old.cert), first.serial);

  publish(old.cert + fresh.cert);
  const both = old.cert + fresh.cert;
  await until('the new pair', async () => (await serialFor(both)) === next.serial);
  assert.equal(await serialFor(fresh.cert), next.serial);
  const { internalAuthority, nextInternalCertificate, tasks } = relay.status();
  assert.equal(namesIn(internalAuthority), 'new');
  assert.equal(nextInternalCertificate, null);
  assert.deepEqual(tasks, { listenerStarts: 1, routerStarts: 1 });
  const waits = readFileSync(join(dirs.root, 'log'), 'utf8').match(/.*certificate_waits.*/g) ?? [];
  assert.deepEqual(
    waits.map((line) => JSON.parse(line).follows === null),
    [true, false],
  );
});
