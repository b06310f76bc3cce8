/** What the stories of delivery share: a relay with any outbound section, and messages with any parameters. */
import assert from 'node:assert/strict';
import { type Authority, makePair } from '#test/kit/ca.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';

export interface Sections {
  /** Lines below spec.outbound; a level of their own where they name none. */
  readonly outbound: string;
  /** One line: spec.queue. */
  readonly queue?: string;
  readonly inbound?: string;
  /** One line each: spec.addresses, spec.trace, spec.logging. */
  readonly addresses?: string;
  readonly trace?: string;
  readonly logging?: string;
  /** Further documents. */
  readonly documents?: string;
}

export function manifestOf(
  port: number | undefined,
  { outbound, queue, inbound, addresses, trace, logging, documents }: Sections,
): string {
  const lines = Object.entries({ queue, addresses, trace, logging }).flatMap(([name, text]) =>
    text ? [`  ${name}: ${text}\n`] : [],
  );
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: delivery}
spec:
  hostname: relay.example.com
  inbound:
    starttls: Disabled
    listeners: [{name: smtp, port: ${port}}]
    clients: {networks: [127.0.0.0/8]}
    ${inbound ?? ''}
  outbound:
    ${outbound.trim().replaceAll('\n', '\n    ')}
${lines.join('')}${documents ?? ''}`;
}

export function startRelay(sections: Sections): Promise<TestRelay> {
  return TestRelay.start({ manifest: ([port]) => manifestOf(port, sections) });
}

/** A relay that takes mail under TLS, and trusts the ConfigMap `roots` at the level Opportunistic. */
export async function startRelayUnderTls(routes: string, { cert }: Authority): Promise<TestRelay> {
  const sections = {
    outbound: `
tls: {level: Opportunistic, discover: [], trustConfigMapName: roots}
routes:
${routes}`,
    documents: `${objectOf('ConfigMap', 'roots', { 'ca.crt': cert })}${secretOf('relay-tls', await makePair())}`,
  };
  return TestRelay.start({
    manifest: ([port]) =>
      manifestOf(port, sections).replace(
        /inbound:\s+starttls: Disabled/,
        'tls: {secretName: relay-tls}\n  inbound:',
      ),
  });
}

/** A Secret or ConfigMap document. */
export function objectOf(
  kind: 'Secret' | 'ConfigMap',
  name: string,
  files: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries(files).map(
    ([file, text]) => `  ${file}: |\n    ${text.trim().replaceAll('\n', '\n    ')}\n`,
  );
  return `---
apiVersion: v1
kind: ${kind}
metadata: {name: ${name}}
${kind === 'Secret' ? 'stringData' : 'data'}:
${lines.join('')}`;
}

export interface Mail {
  readonly id: string;
  readonly from?: string;
  readonly to: readonly string[];
  /** Further parameters of MAIL, and of RCPT by address. */
  readonly mail?: string;
  readonly rcpt?: Readonly<Record<string, string>>;
  /** Whole; default: a small one that names its id. */
  readonly text?: string;
}

/** Sends over a connection of its own; the last reply, which is that to the message where all went well. */
export async function submit(
  relay: TestRelay,
  { id, from = 'me@client.example', to, mail, rcpt, text }: Mail,
) {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  try {
    await client.hello();
    const steps = [
      `MAIL FROM:<${from}>${mail ? ` ${mail}` : ''}`,
      ...to.map((address) => `RCPT TO:<${address}>${rcpt?.[address] ? ` ${rcpt[address]}` : ''}`),
      'DATA',
    ];
    for (const step of steps) {
      const reply = await client.command(step);
      if (!/^[23]/.test(reply)) return reply;
    }
    return await client.command(`${text ?? messageText(id)}\r\n.`);
  } finally {
    await client.quit();
  }
}

/** Sends, and the relay takes it; gives the queue id. */
export async function accepted(relay: TestRelay, mail: Mail): Promise<string> {
  const reply = await submit(relay, mail);
  assert.match(reply, /^250 2\.0\.0 Ok/);
  return /queued as (\w+)/.exec(reply)?.[1] ?? '';
}

/** The first line of the log that ends an attempt at this destination, or at its recipient `a`. */
export function findEnd({ stderr }: TestRelay, domain: string): Record<string, unknown> | undefined {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes(domain))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find(
      ({ event, to, destination }) =>
        ['delivered', 'bounced', 'deferred'].includes(String(event)) &&
        [to, destination].some((name) => name === domain || name === `a@${domain}`),
    );
}
