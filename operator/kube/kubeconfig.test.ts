/** A kubeconfig that cannot be used is told in one sentence. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from './kubeconfig.ts';

const dir = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
after(() => rmSync(dir, { recursive: true }));

const SERVER = 'https://127.0.0.1:6443';

function write(cluster: object, user: object = { token: 'secret' }, context = 'here'): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'one', cluster }],
    users: [{ name: 'me', user }],
    contexts: [{ name: 'here', context: { cluster: 'one', user: 'me' } }],
    'current-context': context,
  });
}

const FAULTS: readonly [string, string, RegExp][] = [
  ['is empty', '', /: it is empty: /],
  ['is no YAML', 'token: [secret', /cannot be used: it is no YAML, at line 1, column \d+: /],
  ['is no text', 'token: \0', /cannot be used: it is no YAML, at line 1, column 8: /],
  [
    'has a server without TLS',
    write({ server: 'http://127.0.0.1:1' }),
    /an API server without TLS, by http: /,
  ],
  ['is a list', '- secret', /no address of an API server/],
  ['is a word', 'secret', /no address of an API server/],
  ['has a context that leads nowhere', write({ server: SERVER }, {}, 'there'), /no address of an API server/],
  ['has a cluster without a server', write({}), /server is missing/],
  ['has a server that is no address', write({ server: 'api' }), /no address of an API server/],
  [
    'names an authority that is not there',
    write({ server: SERVER, 'certificate-authority': '/nowhere/ca.crt' }),
    /: "\/nowhere\/ca\.crt": there is no such file: /,
  ],
  [
    'names a client certificate that is not there',
    write({ server: SERVER }, { 'client-certificate': '/nowhere/tls.crt', 'client-key': '/nowhere/tls.key' }),
    /: "\/nowhere\/tls\.crt": there is no such file: /,
  ],
];

for (const [what, text, says] of FAULTS)
  test(`a kubeconfig that ${what} is told in one sentence`, () => {
    const file = join(dir, 'config');
    writeFileSync(file, text);
    assertSentence(file, says);
  });

test('a kubeconfig that is not there, or is a folder, is told in one sentence', () => {
  assertSentence(join(dir, 'nothing'), /cannot be used: there is no such file: /);
  assertSentence(dir, /cannot be used: it is a folder: /);
});

test('a kubeconfig that leads to an API server is taken', () => {
  const file = join(dir, 'config');
  writeFileSync(file, write({ server: SERVER }));
  assert.equal(loadConfig(file).getCurrentCluster()?.server, SERVER);
});

function assertSentence(file: string, says: RegExp): void {
  assert.throws(
    () => loadConfig(file),
    ({ message }: Error) => {
      assert.match(message, says);
      assert.ok(message.startsWith(`--kubeconfig "${file}" `), message);
      assert.match(message, /: correct it, or name another file$/);
      assert.doesNotMatch(message, /\n|secret|ENOENT|EISDIR/);
      return true;
    },
  );
}
