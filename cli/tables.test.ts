/** The relay, `lint` and `explain` read one table, and each names the same fault of it, or none. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import type { Log } from '#relay/observe/log.ts';
import { BuiltTables } from '#relay/supervisor/builttables.ts';
import { readInputs } from '#relay/supervisor/inputs.ts';
import { Retry } from '#relay/supervisor/retry.ts';
import { podDirs } from '#test/kit/relayrig.ts';
import { readOrders } from './explainorders.ts';
import { lintPath } from './lintfaults.ts';

const dirs = podDirs();
after(() => dirs.remove());

const relayOf = (key: string) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay}
spec:
  hostname: relay.example.com
  inbound: {listeners: [{name: smtp, port: 25}], acceptDomains: [example.com], starttls: Disabled}
  addresses: {recipient: {tables: [{configMapName: aliases, key: ${key}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: aliases}
`;

const GOOD = 'a@example.com b@example.com\n';
const PACKED = gzipSync(GOOD);

/** What follows the name of the table, by the relay that gets the bytes mounted. */
async function findFaultOfRelay(file: string, key: string, contents: Buffer | undefined) {
  const { policy } = await readOrders(file);
  writeFileSync(join(dirs.policyDir, POLICY_FILE_NAME), printPolicy(policy));
  const folder = join(dirs.configMapsDir, 'aliases');
  mkdirSync(folder, { recursive: true });
  if (contents) writeFileSync(join(folder, key), contents);
  const log = (() => undefined) as unknown as Log;
  const built = await new BuiltTables(dirs.stateDir, log, new Retry(() => 0)).addTo(readInputs(dirs));
  return built.materials.tables?.[`ConfigMap/aliases/${key}`]?.fault ?? null;
}

for (const [what, contents, fault] of [
  ['good', Buffer.from(GOOD), null],
  ['empty', Buffer.alloc(0), null],
  ['comments', Buffer.from('# none yet\n'), null],
  ['packed', PACKED, null],
  ['packed-and-a-tail', Buffer.concat([PACKED, Buffer.from('\r\n')]), null],
  ['wrong-line', Buffer.from(`${GOOD}c@example.com\n`), 'has a wrong line 2 (there is no address after'],
  ['wrong-line-packed', gzipSync(`${GOOD}c@example.com\n`), 'has a wrong line 2 ('],
  ['no-address', Buffer.from('root joe\nexample.com anything\n'), 'has no entry with an @'],
  ['cut-short', PACKED.subarray(0, -9), 'is packed by gzip and damaged'],
  ['begins-as-gzip', Buffer.from([0x1f, 0x8b, 0x41]), 'is packed by gzip and damaged'],
  ['bomb', gzipSync(Buffer.alloc(40 * 1024 * 1024, 0x0a)), 'is larger than 32 MiB when unpacked'],
  ['constructor', undefined, 'does not exist'],
] as const) {
  test(`a table that is ${what}`, async () => {
    const file = join(dirs.stateDir, `${what}.yaml`);
    const data = contents ? `binaryData: {${what}: ${contents.toString('base64')}}\n` : 'data: {}\n';
    writeFileSync(file, `${relayOf(what)}${data}`);
    const found = await findFaultOfRelay(file, what, contents);
    assert.ok(fault === null ? found === null : found?.startsWith(fault), String(found));
    const { wrongTables } = await readOrders(file);
    const [result] = await lintPath(file);
    const told = result?.faults.map(({ kind, line, message }) => [kind, line, message]);
    const sentences = found === null ? [] : [`key ${what} of ConfigMap "aliases" ${found}: correct this; `];
    assert.deepEqual(
      told,
      wrongTables.map((message) => ['warning', 12, message]),
    );
    assert.equal(wrongTables.length, sentences.length);
    for (const sentence of sentences) assert.ok(wrongTables.join().includes(sentence), wrongTables.join());
  });
}
