/** `mailrelay explain` for addresses that the policy changes, also where the file has not all that the policy names. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { mailrelay } from '#test/kit/relay.ts';

const RELAY = `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound: {listeners: [{name: smtp, port: 25}], acceptDomains: [example.com]}
  outbound:
    routes:
      - {senders: [example.com], hosts: [{host: 127.0.0.1, port: 1}]}
    smartHosts: [{host: 127.0.0.1, port: 2}]
  addresses:
    sender:
      entries: [{address: "@*.app.example.com", to: "@example.com"}]
    recipient:
      entries:
        - {address: sales@example.com, to: [bob@other.example]}
        - {address: gone@example.com, refuse: 5.1.6 Gone for good}
        - {address: all@example.com, to: [1@a.example, 2@a.example, 3@a.example, 4@a.example, 5@a.example, 6@a.example]}
      tables: [{configMapName: aliases, key: virtual}]
    srs: {domain: example.com, secretName: srs}
`;
const SRS = `
apiVersion: v1
kind: Secret
metadata: {name: srs}
stringData: {key: abcdefghijklmnopqrstuvwxyz012345}
`;
const tableOf = (bytes: Buffer) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: aliases}
binaryData: {virtual: ${bytes.toString('base64')}}
`;
const PACKED = gzipSync('support@example.com ann@other.example\n');

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-addresses-'));
after(() => rmSync(dir, { recursive: true }));
const explain = (documents: readonly string[], ...words: string[]) => {
  writeFileSync(join(dir, 'relay.yaml'), [RELAY, ...documents].join('---'));
  return mailrelay(['explain', '-f', 'relay.yaml', ...words], dir);
};
const ALL = [SRS, tableOf(PACKED)];

test('what the file lacks is named, and the way of the address is told without it', async () => {
  const ways = /^bob@other\.example\ngoes by +outbound\.smartHosts$/m;
  const whole = await explain(ALL, 'sales@example.com', '--from', 'eve@other.example');
  assert.match(whole.stdout, /^sender +becomes SRS0=\S+ \(addresses, inbound\)$/m);
  assert.doesNotMatch(whole.stdout, /not among/);
  const noSecret = await explain([tableOf(PACKED)], 'sales@example.com', '--from', 'eve@other.example');
  assert.match(noSecret.stdout, /^note +not among the documents: Secret "srs"; /m);
  assert.match(noSecret.stdout, ways);
  const none = await explain([], 'sales@example.com', '-o', 'json');
  const { becomes, rule } = JSON.parse(none.stdout) as { becomes: Record<string, unknown>; rule: string };
  assert.deepEqual(
    [becomes['to'], becomes['unseen'], rule],
    [
      ['bob@other.example'],
      [
        { kind: 'Secret', name: 'srs' },
        { kind: 'ConfigMap', name: 'aliases' },
      ],
      'outbound.smartHosts',
    ],
  );
  const refused = await explain([], 'gone@example.com');
  assert.match(refused.stdout, /^refused +550 5\.1\.6 Gone for good/m);
});

test('a packed table is read, and one that is damaged is named', async () => {
  assert.match((await explain(ALL, 'support@example.com')).stdout, /^becomes +ann@other\.example /m);
  const damaged = await explain([SRS, tableOf(PACKED.subarray(0, -12))], 'support@example.com');
  assert.match(damaged.stdout, /^note .*key virtual of ConfigMap "aliases" is packed by gzip and damaged/m);
  assert.match(damaged.stdout, /^refused +451 .*\(map_unreadable\)$/m);
});

test('routes by sender get the sender that it becomes, for a domain alone too', async () => {
  for (const to of ['joe@partner.example', 'partner.example']) {
    const { stdout } = await explain(ALL, to, '--from', 'root@web.app.example.com');
    assert.match(stdout, /^sender +becomes root@example\.com where the client may relay /m, to);
    assert.match(stdout, /^goes by +outbound\.routes\[0\]/m, to);
  }
});

test('of a long alias the rest is counted', async () => {
  const { stdout } = await explain(ALL, 'all@example.com');
  assert.match(stdout, /\nand 1 more, whose ways are not told here: /);
  assert.match(stdout, /^5@a\.example$/m);
  assert.doesNotMatch(stdout, /^6@a\.example$/m);
});
