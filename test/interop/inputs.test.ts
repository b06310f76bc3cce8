/**
 * What the field sends, said to real Postfix and Exim and to a relay: the one table of who says what, docs/inputs.md.
 * Where the peers have other versions than the table names, only our own columns are held against it. "make golden"
 * does not write it: UPDATE_INPUTS=1 and this test do.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { versionOf } from '#test/kit/debian.ts';
import { startExim } from '#test/kit/exim.ts';
import { layerProblem } from '#test/kit/layer.ts';
import type { Peer } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { INPUTS, type Input } from './inputs.ts';

const TABLE = new URL('../../docs/inputs.md', import.meta.url);
/** Defaults of Postfix 3.11, written out because Debian's is older. */
const SETTINGS = [
  'smtpd_forbid_bare_newline = normalize',
  'smtpd_forbid_bare_newline_exclusions =',
  'smtpd_forbid_unauth_pipelining = yes',
  'smtpd_sasl_auth_enable = no',
];
/** Of one reply. Every input of the table has one, so it only bounds a failure. */
const WAIT_MS = 60_000;

let postfix: Postfix;
let exim: Peer;
let relay: TestRelay;
const ports: number[] = [];

const problem = postfixProblem() ?? layerProblem();

before(async () => {
  if (problem) return;
  const authority = await makeAuthority();
  const pair = await authority.issue(['localhost']);
  ports.push(await freePort(), await freePort());
  const [postfixPort = 0, eximPort = 0] = ports;
  postfix = await Postfix.start({ address: '127.0.0.1', port: postfixPort, settings: SETTINGS });
  exim = await startExim({
    port: eximPort,
    domain: 'example.com',
    pair,
    relay: { port: 1, ca: authority.cert },
  });
  relay = await TestRelay.start({
    ports: 3,
    manifest: ([strict, normalize, nowhere]) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: inputs}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners:
      - {name: strict, port: ${strict}}
      - {name: normalize, port: ${normalize}, lineEndings: Normalize}
    clients: {networks: [127.0.0.0/8]}
    acceptDomains: [example.com]
  outbound: {smartHosts: [{host: 127.0.0.1, port: ${nowhere}}]}
`,
  });
  ports.push(...relay.ports.slice(0, 2));
});

after(async () => {
  await relay?.remove();
  exim?.stop();
  postfix?.stop();
});

test('each input is answered as the table says', { skip: problem }, async () => {
  const rows: string[] = [];
  for (const input of INPUTS) {
    const said = await Promise.all(ports.map((port) => lastReply(port, input)));
    rows.push(`| \`${input.name.replaceAll('|', '\\|')}\` | ${said.join(' | ')} |`);
  }
  const table = render(rows);
  if (process.env['UPDATE_INPUTS'] || !existsSync(TABLE)) writeFileSync(TABLE, table);
  const committed = readFileSync(TABLE, 'utf8');
  const sameVersions = committed.includes(versions());
  const shown = (text: string) => (sameVersions ? text : ours(text));
  assert.deepEqual(shown(table).split('\n'), shown(committed).split('\n'));
});

function versions(): string {
  const mailVersion = execFileSync('/usr/sbin/postconf', ['-h', '-d', 'mail_version'], {
    encoding: 'utf8',
  }).trim();
  return `Postfix ${mailVersion}, Exim ${versionOf('exim4-daemon-light')}`;
}

/** Without the columns of the peers. */
function ours(text: string): string {
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => row.split(' | ').toSpliced(1, 2).join(' | ')).join('\n');
}

function render(rows: readonly string[]): string {
  return `# Who says what

The last reply to each input, from a client that may relay: code and, where there is one, enhanced status; "end" where the session ended.
Debian's ${versions()}; Postfix with the defaults of 3.11 written out (${SETTINGS.map((line) => `\`${line}\``).join(', ')}), Exim with
its own defaults. Why the relay is stricter where it is: [receiving](receiving.md). Written by \`test/interop/inputs.test.ts\`.

| input | Postfix | Exim | relay, Strict | relay, Normalize |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** Says each step after the reply to the one before it, and gives what was answered to the last. */
async function lastReply(port: number, { steps }: Input): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let isOver = false;
  let wake: () => void = () => undefined;
  const told = () => wake();
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    told();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isOver = true;
    told();
  });
  const reply = async (): Promise<string> => {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const [whole] = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(text) ?? [];
      if (whole !== undefined) {
        text = text.slice(whole.length);
        return /^(\d{3}(?: \d\.\d\.\d+)?)/.exec(whole.trimEnd().split('\r\n').at(-1) ?? '')?.[1] ?? '';
      }
      if (isOver || Date.now() >= end) return isOver ? 'end' : 'nothing';
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, end - Date.now());
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  let last = await reply();
  for (const step of steps) {
    if (isOver) break;
    socket.write(Buffer.from(step, 'latin1'));
    last = await reply();
  }
  socket.destroy();
  return last;
}
