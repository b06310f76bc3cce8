/** `mailrelay dkim`: keys that OpenSSL reads, records that have their public half, and no file that is overwritten. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { mailrelay } from '#test/kit/relay.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-dkim-'));
after(() => rmSync(dir, { recursive: true }));

const make = (file: string, ...more: string[]) =>
  mailrelay(['dkim', '--domain', 'example.com', '--selector', 's1', '--key', join(dir, file), ...more]);
/** The public half as OpenSSL finds it: DER in base64. */
const publicHalf = (file: string) =>
  execFileSync('openssl', ['pkey', '-in', join(dir, file), '-pubout', '-outform', 'DER']);

test('an RSA key of 2048 bits by default: its record, what to do next, and a file that only its owner reads', async () => {
  const { status, stdout, stderr } = await make('rsa.key');
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.trim().split('\n');
  const record = lines.at(-1) ?? '';
  assert.match(record, /^s1\._domainkey\.example\.com\. 3600 IN TXT "v=DKIM1; k=rsa; p=/);
  const joined = record.replaceAll('" "', '').replace(/^[^"]*"|"$/g, '');
  assert.equal(joined, `v=DKIM1; k=rsa; p=${publicHalf('rsa.key').toString('base64')}`);
  assert.ok(lines.slice(0, -1).every((line) => line.startsWith('; ')));
  assert.match(stdout, /kubectl create secret generic dkim-s1 --from-file=private\.key=/);
  assert.match(stdout, /\{domain: example\.com, selector: s1, secretName: dkim-s1\}/);
  assert.ok(!stdout.includes('PRIVATE KEY'));
  assert.equal(statSync(join(dir, 'rsa.key')).mode & 0o777, 0o600);
  assert.match(
    execFileSync('openssl', ['pkey', '-in', join(dir, 'rsa.key'), '-noout', '-text']).toString(),
    /2048 bit/,
  );
});

test('an Ed25519 key: the bare public key (RFC 8463), also as JSON', async () => {
  const { stdout } = await make('ed.key', '--type', 'ed25519', '--ttl', '60', '-o', 'json');
  const bare = publicHalf('ed.key').subarray(-32).toString('base64');
  assert.deepEqual(JSON.parse(stdout), {
    name: 's1._domainkey.example.com',
    type: 'TXT',
    ttl: 60,
    values: [`v=DKIM1; k=ed25519; p=${bare}`],
  });
});

test('a key that is there stays, and its record is printed again; what is no key is not touched', async () => {
  const { stdout: first } = await make('again.key', '--type', 'ed25519');
  const before = readFileSync(join(dir, 'again.key'), 'utf8');
  const { stdout: second } = await make('again.key');
  assert.equal(second, `${first.trim().split('\n').at(-1)}\n`);
  assert.equal(readFileSync(join(dir, 'again.key'), 'utf8'), before);
  const other = await make('again.key', '--type', 'rsa');
  assert.deepEqual([other.status, other.stdout], [1, '']);
  assert.match(other.stderr, /has a key of type ed25519 already: leave --type out/);
  const of = (...algorithm: string[]) =>
    execFileSync('openssl', ['genpkey', '-algorithm', ...algorithm], { stdio: 'pipe' }).toString();
  for (const [text, why] of [
    ['', /, as it is no unencrypted private key in PEM: name/],
    ['text', /, as it is no unencrypted private key in PEM: name/],
    [of('X25519'), /, as its type is x25519, not rsa or ed25519: name/],
    // No relay signs with it, and no receiver takes its signatures.
    [
      of('RSA', '-pkeyopt', 'rsa_keygen_bits:768'),
      /, as it has 768 bits, fewer than 1024 \(RFC 8301\): name/,
    ],
  ] as const) {
    writeFileSync(join(dir, 'other'), text);
    const { status, stdout, stderr } = await make('other');
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /"[^"]*" is no private key of DKIM, /);
    assert.match(stderr, why);
    assert.equal(readFileSync(join(dir, 'other'), 'utf8'), text);
  }
});

test('a misshapen domain, selector or size is refused before there is a file', async () => {
  for (const more of [
    ['--domain', 'example'],
    ['--domain', 'Example.com'],
    ['--domain', 'example.123'],
    ['--selector', 's_1'],
    ['--selector', ''],
    ['--selector', 'a'.repeat(64)],
    ['--selector', `${'a.'.repeat(32)}a`],
    ['--bits', '1024'],
  ]) {
    const { status, stdout, stderr } = await make('never.key', ...more);
    assert.deepEqual([status, stdout], [2, ''], more.join(' '));
    assert.match(
      stderr,
      /such as example\.com|last part is no number|a DKIM selector|from 2048 to 4096|is too long: choose a shorter one/,
    );
  }
  assert.throws(() => statSync(join(dir, 'never.key')), /ENOENT/);
  const { status, stderr } = await make('no/such/folder.key');
  assert.equal(status, 1);
  assert.match(stderr, /no\/such\/folder\.key": its folder is not there: make the folder first/);
});

test('a key that is there has the size that is asked for, or is refused; a record has no wide form', async () => {
  assert.equal((await make('sized.rsa')).status, 0);
  assert.equal((await make('sized.rsa', '--bits', '2048')).status, 0);
  const other = await make('sized.rsa', '--bits', '4096');
  assert.deepEqual([other.status, other.stdout], [1, '']);
  assert.match(other.stderr, /has a key of 2048 bits already: leave --bits out, or name another file\n$/);
  await make('sized.ed', '--type', 'ed25519');
  const { stderr } = await make('sized.ed', '--bits', '2048');
  assert.match(stderr, /has a key of type ed25519 already: leave --bits out/);
  const wide = await make('never.wide', '-o', 'wide');
  assert.deepEqual([wide.status, wide.stdout], [2, '']);
  assert.throws(() => statSync(join(dir, 'never.wide')), /ENOENT/);
});

test('an Ed25519 key has one size', async () => {
  const { status, stderr } = await mailrelay([
    ...['dkim', '--domain', 'a.example', '--selector', 's', '--key', join(dir, 'sized.key')],
    ...['--type', 'ed25519', '--bits', '4096'],
  ]);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /leave --bits out/);
});

test('of a manifest: which key signs, which is only published, and what comes next', async () => {
  const file = join(dir, 'relay.yaml');
  const tell = async (second: object) => {
    const dkim = [
      { domain: 'example.com', selector: 's1', secretName: 'one' },
      { domain: 'example.com', selector: 's2', secretName: 'two', ...second },
    ];
    const inbound = { listeners: [{ name: 'smtp', port: 25 }] };
    const spec = { hostname: 'relay.example.com', tls: { secretName: 'tls' }, inbound, outbound: { dkim } };
    const relay = { apiVersion: 'mailrelay.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'a' }, spec };
    writeFileSync(file, JSON.stringify(relay));
    return mailrelay(['dkim', '-f', file]);
  };
  const { stdout } = await tell({ use: 'Publish' });
  assert.match(stdout, /^ {2}s1 +signs; s1\._domainkey\.example\.com$/m);
  assert.match(stdout, /^ {2}s2 +signs nothing; s2\._domainkey\.example\.com$/m);
  assert.match(stdout, /set use: Sign for it and use: Publish for s1$/m);
  assert.match((await tell({})).stdout, /^ {2}next: make a key for another selector/m);
  const wide = (await mailrelay(['dkim', '-f', file, '-o', 'wide'])).stdout;
  assert.deepEqual(
    wide.split('\n').map((line) => line.split('\t')),
    [
      ['DOMAIN', 'SELECTOR', 'USE', 'RECORD', 'SECRET'],
      ['example.com', 's1', 'Sign', 's1._domainkey.example.com', 'one'],
      ['example.com', 's2', 'Sign', 's2._domainkey.example.com', 'two'],
      [''],
    ],
  );
  const [listed] = JSON.parse((await mailrelay(['dkim', '-f', file, '-o', 'json'])).stdout);
  assert.deepEqual([listed.selector, listed.secret], ['s1', 'one']);
  for (const more of [
    ['--selector', 's1'],
    ['--type', 'rsa'],
    ['--bits', '4096'],
  ]) {
    const both = await mailrelay(['dkim', '-f', file, ...more]);
    assert.equal(both.status, 2, more.join(' '));
    assert.match(both.stderr, /or a manifest by --file/);
  }
});
