/** The text that `mailrelay sessions` prints. Pure. */
import type { InboundSession, OpenSessions, OutboundSession } from '#crds/sessions.ts';
import { age, describeTable, visible } from './terminal.ts';

const INBOUND = ['LISTENER', 'CLIENT', 'SINCE', 'TLS', 'LOGIN', 'STATE', 'QUIET', 'MESSAGES'];
const INBOUND_WIDE = [...INBOUND, 'ID', 'HELO', 'CIPHER', 'CERTIFICATE'];
const OUTBOUND = ['NEXT-HOP', 'SINCE', 'TLS', 'STATE', 'MESSAGES'];
const OUTBOUND_WIDE = [...OUTBOUND, 'CIPHER'];

export function describeSessions(sessions: OpenSessions, isWide: boolean, now: number): string {
  const { inbound, moreInbound, outbound, moreOutbound, silentProcesses } = sessions;
  const clients = inbound.map((one) => inboundRow(one, isWide, now));
  const hops = outbound.map((one) => outboundRow(one, isWide, now));
  const silent =
    silentProcesses === 0
      ? ''
      : `\nProcesses of the relay that did not answer: ${silentProcesses}. Their sessions are missing here.\n`;
  return [
    describeList(isWide ? INBOUND_WIDE : INBOUND, clients, moreInbound, 'No client is connected.'),
    '\n',
    describeList(isWide ? OUTBOUND_WIDE : OUTBOUND, hops, moreOutbound, 'No next hop is connected.'),
    silent,
  ].join('');
}

function describeList(head: string[], rows: string[][], more: number, none: string): string {
  if (rows.length === 0) return `${none}\n`;
  const rest = more === 0 ? '' : `... and ${more} more, which began later\n`;
  return `${describeTable([head, ...rows])}${rest}`;
}

function inboundRow(one: InboundSession, isWide: boolean, now: number): string[] {
  const { listener, client, since, tls, login, certificate, state, quietSeconds, messages, id, helo } = one;
  const wide = isWide ? [id ?? '-', helo ?? '-', tls?.cipher ?? '-', certificate ?? '-'] : [];
  return [
    listener,
    client,
    age(Date.parse(since), now),
    tls?.version ?? 'none',
    login ?? certificate ?? '-',
    state,
    age(0, quietSeconds * 1000),
    `${messages}`,
    ...wide,
  ].map(visible);
}

function outboundRow(
  { hop, since, tls, state, messages }: OutboundSession,
  isWide: boolean,
  now: number,
): string[] {
  const wide = isWide ? [tls?.cipher ?? '-'] : [];
  return [hop, age(Date.parse(since), now), tls?.version ?? 'none', state, `${messages}`, ...wide];
}
