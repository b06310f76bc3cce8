/**
 * The commands of kubectl that stand in the text of the pages, beside a real API server. Those in blocks are typed by
 * test/cluster/2-pages.test.ts, on a cluster with nodes.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readPages } from '#test/arch/pages.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenSettled } from './relays.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const NAMESPACE = 'mail';
/** What a person writes in their place. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  NAMESPACE,
  POD: 'relay-0',
  RELAY: 'relay',
  NAME: 'relay',
  'OPERATORS-NAMESPACE': 'mailrelay-system',
  RELEASE: 'mailrelay',
};
/** These are not typed here, and why. */
const ELSEWHERE: readonly (readonly [command: RegExp, reason: string])[] = [
  [/^kubectl mailrelay\b/, 'ours: test/arch/pages.test.ts knows its verbs and options'],
  [/^kubectl (?!get mr$)[a-z]+( pvc| --raw)?$/, 'the name of a command, and no more'],
  [/^kubectl (exec|logs|top)\b/, 'needs a node: test/cluster'],
  [/^kubectl delete crd /, 'takes the MailRelays of all other stories'],
  [/^kubectl apply edit-last-applied /, 'opens an editor'],
];
const LAST = /^kubectl delete /;

/** In the order of the pages, but that nothing is asked of a MailRelay that was deleted. */
function listInline(): string[] {
  const code = readPages().flatMap(({ inlineCode }) => inlineCode);
  const commands = new Set(code.filter((one) => one.startsWith('kubectl ')));
  const typed = [...commands].filter((command) => !ELSEWHERE.some(([elsewhere]) => elsewhere.test(command)));
  return typed.toSorted((a, b) => Number(LAST.test(a)) - Number(LAST.test(b)));
}

function fill(command: string): string {
  return command.replace(/\b[A-Z]+(-[A-Z]+)*\b/g, (word) => PLACEHOLDERS[word] ?? word);
}

describe('the commands in the text of the pages', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;
  let folder: string;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'commands' });
    await operator.leads();
    await api.makeNamespace(NAMESPACE);
    folder = mkdtempSync(join(tmpdir(), 'mailrelay-commands-'));
    const relay = relayNamed(NAMESPACE, 'relay');
    writeFileSync(join(folder, 'relay.yaml'), JSON.stringify(relay));
    writeFileSync(join(folder, 'virtual.gz'), '');
    cpSync(join(TOP, 'crds'), join(folder, 'crds'), { recursive: true });
    cpSync(api.kubeconfig, join(folder, 'kubeconfig'));
    run(`kubectl config set-context --current --namespace=${NAMESPACE}`);
    await putRelay(api, relay);
    await putCertificate();
    await whenSettled(api, NAMESPACE, 'relay');
  });

  after(async () => {
    run(`kubectl delete mr,certificate --all -n ${NAMESPACE}`);
    await operator?.end('SIGTERM');
    await pods?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As cert-manager's users have one of that name. */
  function putCertificate(): Promise<unknown> {
    const spec = { secretName: 'other-tls', dnsNames: ['relay.example.com'], issuerRef: { name: 'mail-ca' } };
    const certificate = {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name: 'relay', namespace: NAMESPACE },
      spec,
    };
    return api.put(certificate, 'certificates');
  }

  function run(command: string): { readonly status: number | null; readonly output: string } {
    const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: join(folder, 'kubeconfig') };
    const kubectl = `kubectl() { "${api.program('kubectl')}" "$@"; }; `;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', kubectl + command], {
      cwd: folder,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, output: stdout + stderr };
  }

  for (const command of listInline())
    test(command, () => {
      const { status, output } = run(fill(command));
      assert.equal(status, 0, output);
    });

  test('are found, and a wrong one fails', () => {
    assert.ok(listInline().length > 15, `${listInline().length}`);
    assert.notEqual(run('kubectl get mailrelais').status, 0);
    assert.notEqual(run('kubectl scale mr/relay -n mail --replica=1').status, 0);
  });
});
