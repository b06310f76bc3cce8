/** Who is connected now. The pods are asked while a person looks at this section, as often as for the overview. */
import { html } from 'htm/preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { InboundSession, OutboundSession } from '#crds/sessions.ts';
import type { Look, SessionsAnswer } from '../api.ts';
import { ask } from './backend.ts';
import { formatAge, formatCount } from './format.ts';
import { Panel, Problems, Table, Time } from './parts.ts';
import type { TextKey } from './texts/en.ts';
import { say } from './texts.ts';

/** Commands of SMTP are their own names. */
const INBOUND: Readonly<Record<string, TextKey>> = {
  handshake: 'doingHandshake',
  greeting: 'doingGreeting',
  idle: 'doingIdle',
  other: 'doingOther',
};
const OUTBOUND: Readonly<Record<OutboundSession['state'], TextKey>> = {
  connecting: 'doingConnecting',
  sending: 'doingSending',
  idle: 'doingKept',
};

type Of<One> = One & { readonly pod: string };

export function Sessions({ look }: { readonly look: Look }) {
  const answer = useSessions(look);
  if (!answer) return html`<p class="quiet">${say('loading')}</p>`;
  const { pods, problems } = answer;
  const hasPods = look.pods.length > 1;
  const sum = (count: (one: (typeof pods)[number]) => number) =>
    pods.reduce((all, one) => all + count(one), 0);
  const silent = sum((one) => one.silentProcesses);
  const inbound = pods.flatMap(({ pod, inbound: all }) => all.map((one) => ({ pod, ...one })));
  const outbound = pods.flatMap(({ pod, outbound: all }) => all.map((one) => ({ pod, ...one })));
  return html`
    <${Problems} of=${problems} />
    ${silent > 0 && html`<${Problems} of=${[say('silent', { count: silent })]} />`}
    <${Clients} sessions=${inbound.toSorted(byAge)} more=${sum((one) => one.moreInbound)} hasPods=${hasPods} />
    <${NextHops} sessions=${outbound.toSorted(byAge)} more=${sum((one) => one.moreOutbound)} hasPods=${hasPods} />
  `;
}

/** Asks with each look at the pods, but never twice at a time. */
function useSessions(look: Look): SessionsAnswer | undefined {
  const [answer, setAnswer] = useState<SessionsAnswer | undefined>(undefined);
  const isBusy = useRef(false);
  useEffect(() => {
    if (isBusy.current) return;
    isBusy.current = true;
    ask('sessions')
      .catch((error: Error) => ({ pods: [], problems: [error.message] }))
      .then((found) => {
        isBusy.current = false;
        setAnswer(found);
      });
  }, [look]);
  return answer;
}

interface Props<One> {
  readonly sessions: readonly Of<One>[];
  readonly more: number;
  readonly hasPods: boolean;
}

function Clients({ sessions, more, hasPods }: Props<InboundSession>) {
  const rows = sessions.map((one) => {
    const { pod, client, helo, listener, since, tls, login, certificate, state, quietSeconds, messages } =
      one;
    const key = INBOUND[state];
    return [
      html`${client} <span class="quiet">${helo}</span>`,
      ...(hasPods ? [pod] : []),
      listener,
      html`<${Time} at=${since} />`,
      describeTls(tls),
      login ?? (certificate === null ? '-' : say('clientCertificate', { name: certificate })),
      key ? say(key) : state,
      formatAge(quietSeconds),
      formatCount(messages),
    ];
  });
  const heads = [
    say('client'),
    ...(hasPods ? [say('pod')] : []),
    say('listener'),
    say('openSince'),
    say('inboundTls'),
    say('login'),
    say('doing'),
    say('quiet'),
    say('messages'),
  ];
  return html`<${List} title=${say('clients')} none=${say('noClients')} heads=${heads} rows=${rows} more=${more} />`;
}

function NextHops({ sessions, more, hasPods }: Props<OutboundSession>) {
  const rows = sessions.map(({ pod, hop, since, tls, state, messages }) => [
    hop,
    ...(hasPods ? [pod] : []),
    html`<${Time} at=${since} />`,
    describeTls(tls),
    say(OUTBOUND[state]),
    formatCount(messages),
  ]);
  const heads = [
    say('nextHop'),
    ...(hasPods ? [say('pod')] : []),
    say('openSince'),
    say('inboundTls'),
    say('doing'),
    say('messages'),
  ];
  return html`<${List} title=${say('nextHops')} none=${say('noNextHops')} heads=${heads} rows=${rows} more=${more} />`;
}

interface ListProps {
  readonly title: string;
  readonly none: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly more: number;
}

/** The last column has numbers. */
function List({ title, none, heads, rows, more }: ListProps) {
  const table = html`<${Table} caption=${title} heads=${heads} rows=${rows} numbers=${[heads.length - 1]} />`;
  return html`<${Panel} title=${title}>
    ${rows.length === 0 ? html`<p class="quiet">${none}</p>` : table}
    ${more > 0 && html`<p class="quiet">${say('moreSessions', { count: formatCount(more) })}</p>`}
  <//>`;
}

function describeTls(tls: InboundSession['tls']) {
  return tls === null ? say('plainText') : html`<span title=${tls.cipher}>${tls.version}</span>`;
}

function byAge(one: { readonly since: string }, other: { readonly since: string }): number {
  return one.since.localeCompare(other.since);
}
