/** What the sink behind the relay has taken: each message, and how it was encrypted. */
import { html } from 'htm/preact';
import type { TakenMessage } from '../../sink/taken.ts';
import { Panel, showSender, Table, Time } from './parts.ts';
import { say } from './texts.ts';

export function Taken({ messages }: { readonly messages: readonly TakenMessage[] }) {
  const rows = messages.map(({ file, time, from, to, subject, tls }) => [
    html`<code title=${file}>${file.replace(/.*[\\/]/, '')}</code>`,
    html`<${Time} at=${time} />`,
    showSender(from),
    to.join(', '),
    subject ?? '-',
    describeTls(tls),
  ]);
  const heads = [
    say('message'),
    say('received'),
    say('sender'),
    say('recipients'),
    say('subject'),
    say('inboundTls'),
  ];
  return html`<${Panel} title=${say('sink')} class="sink">
    <p class="quiet">${say('sinkFolder', { folder: (messages[0]?.file ?? '').replace(/[\\/][^\\/]*$/, '') })}</p>
    <${Table} caption=${say('sink')} heads=${heads} rows=${rows} />
  <//>`;
}

function describeTls(tls: TakenMessage['tls']): string {
  if (tls === null) return say('plainText');
  const { version, cipher, serverName, clientCertificate } = tls;
  return [
    `${version} ${cipher}`,
    ...(serverName === null ? [] : [say('forNames', { names: serverName })]),
    ...(clientCertificate === null ? [] : [say('clientCertificate', { name: clientCertificate })]),
  ].join(' · ');
}
