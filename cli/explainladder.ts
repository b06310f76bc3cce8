/** The way of a message to its next hops, in words: look-ups, TLS level and its rule, what each failure leads to. Pure. */
import { describeFailure, type Failure } from '#crds/failure.ts';
import type { Provider } from '#crds/policyfile.ts';
import { STRICTER_LEVELS } from '#crds/tlslevel.ts';
import type { HostStep, Ladder } from '#relay/delivery/ladder.ts';
import { note, row } from './terminal.ts';

type Policied = Extract<HostStep['decision'], { kind: 'policy' }>['policy'];
type Connection = NonNullable<HostStep['connection']>;

const SHOWN_DATA = 16;
const SHOWN = 5;

const CONSEQUENCES = {
  'cannot happen': 'cannot happen',
  'plain text': 'the mail goes on in plain text',
  'not checked': 'not checked',
  nextHost: 'the next host is tried, and without one the mail waits',
} as const;

export function describeLadder(ladder: Ladder): string {
  const { mx, provider, hosts, moreHosts, end } = ladder;
  const lines = [
    row('MX', describeMx(mx)),
    ...(provider === undefined ? [] : [row('provider', describeProvider(provider))]),
    row('MTA-STS', describeSts(ladder)),
    ...hosts.flatMap(describeHost),
    ...(moreHosts > 0 ? [row('', `and ${moreHosts} more hosts`)] : []),
    ...(end
      ? [row('result', `no host can be had now: the mail ${become(end)}: ${describeFailure(end)}`)]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function describeMx(mx: Ladder['mx']): string {
  switch (mx.kind) {
    case 'local':
      return 'not looked up: the mail ends at this relay, which reads it as a report';
    case 'manifest':
      return 'not looked up: the hosts are those of the manifest';
    case 'failed':
      return `${describeFailure(mx.failure)}: the mail ${become(mx.failure)}`;
    case 'implicit':
      return `none: the host is ${mx.domain} itself (RFC 5321 section 5.1), ${describeProof(mx.isSigned)}`;
    case 'literal':
      return `not looked up: ${mx.domain} is an address`;
    case 'found':
      return `those of ${mx.domain}, ${describeProof(mx.isSigned)}`;
  }
}

const describeProof = (isSigned: boolean) => (isSigned ? 'proven by DNSSEC' : 'not proven by DNSSEC');

const become = ({ permanent }: Failure) => (permanent ? 'is returned' : 'waits');

function describeProvider(provider: Provider | null): string {
  if (!provider) return 'none of outbound.providers: the limits are those of the destination alone';
  const { warmUp } = provider;
  const { connections, messagesPerMinute, messagesPerConnection } = provider.limits;
  const limits = [
    ...(connections === null ? [] : [`${connections} connections`]),
    ...(messagesPerMinute === null ? [] : [`${messagesPerMinute} messages a minute`]),
    `${messagesPerConnection} messages over each connection`,
    ...(warmUp
      ? [
          `warm-up from ${warmUp.messagesPerHour} messages an hour, ${warmUp.days} days from ${warmUp.startDate}`,
        ]
      : []),
  ];
  return `${provider.name} (outbound.providers), for all its domains: ${limits.join(', ')}`;
}

function describeSts({ sts, isStsRecordKnown, knowsHeldPolicies }: Ladder): string {
  switch (sts.kind) {
    case 'off':
      return 'not looked up';
    case 'none':
      if (!isStsRecordKnown) return 'the name server cannot say whether there is a policy: as without one';
      return knowsHeldPolicies
        ? 'no policy'
        : 'no policy is published; a running relay may hold an earlier one (--state DIR)';
    case 'policy':
      return `mode ${sts.mode}, MX hosts ${sts.mxPatterns.join(', ')}`;
    case 'failed':
      return `${describeFailure(sts.failure)}: as without a policy`;
    case 'unasked':
      return `${describeFailure(sts.failure)}: the mail waits`;
  }
}

function describeHost(step: HostStep): string[] {
  const { host, port, priority, dane, decision, addresses, failures, connection } = step;
  const policied =
    decision.kind === 'wait'
      ? [row('  level', `no connection is made: ${describeFailure(decision.failure)}`)]
      : describePolicy(decision.policy);
  const consequences = failures
    ? [
        row('  STARTTLS', `not offered: ${CONSEQUENCES[failures.withoutStarttls]}`),
        row('  handshake', `breaks: ${CONSEQUENCES[failures.brokenHandshake]}`),
        row('  certificate', `proves nothing: ${CONSEQUENCES[failures.unprovenCertificate]}`),
      ]
    : [];
  return [
    row('host', `${host}:${port}, priority ${priority}`),
    ...(addresses ? [row('  address', describeAddresses(addresses))] : []),
    row('  TLSA', describeDane(dane)),
    ...policied,
    ...consequences,
    ...(connection ? describeConnection(connection) : []),
  ];
}

function describeAddresses(found: NonNullable<HostStep['addresses']>): string {
  if (found.kind === 'none') {
    const { failure } = found;
    return `${describeFailure(failure)}: the next host is tried, and without one the mail ${become(failure)}`;
  }
  return listFirst(found.addresses);
}

function listFirst(all: readonly string[]): string {
  const more = all.length > SHOWN ? ` and ${all.length - SHOWN} more` : '';
  return `${all.slice(0, SHOWN).join(', ')}${more}`;
}

function describeDane(dane: HostStep['dane']): string {
  switch (dane.kind) {
    case 'off':
      return 'not looked up';
    case 'none':
      return `none: ${dane.why}`;
    case 'unusable':
      return `no record of ${dane.base} is usable`;
    case 'failed':
      return describeFailure(dane.failure);
    case 'records': {
      const shown = dane.records.map(
        ({ usage, selector, matching, data }) =>
          `${usage} ${selector} ${matching} ${data.slice(0, SHOWN_DATA)}…`,
      );
      return `of ${dane.base}: ${listFirst(shown)}`;
    }
  }
}

function describePolicy({ level, rule, names, trust, strength }: Policied): string[] {
  const proof = {
    none: [],
    pkix: [
      trust.kind === 'pkix' && trust.configMap
        ? `the authorities of ConfigMap "${trust.configMap}"`
        : 'a public authority',
    ],
    tlsa: ['the TLSA records'],
  }[trust.kind];
  const wants = [...proof, ...(names.length > 0 ? [`a certificate for ${names.join(' or ')}`] : [])];
  return [
    row('  level', `${level}, because: ${rule}`),
    ...(wants.length > 0 ? [note(`wants ${wants.join(', ')}`)] : []),
    ...(level === 'None' ? [] : [note(`${strength.minVersion} or later`)]),
  ];
}

function describeConnection(connection: Connection): string[] {
  if (connection.kind === 'failed') {
    const at = connection.address === null ? '' : `${connection.address}: `;
    return [row('  connected', `no: ${at}${describeFailure(connection.failure)}`)];
  }
  const { address, tls, policy, judgement } = connection;
  const how = tls
    ? `${tls.version}, ${tls.cipher}${tls.group ? `, ${tls.group}` : ''}, verified by ${policy.verifiedBy ?? 'nothing'}`
    : `plain text${policy.fellBack ? `: ${policy.fellBack.text}` : ''}`;
  const stricter = STRICTER_LEVELS.flatMap((level) => {
    const failure = judgement[level];
    return failure ? [note(`${level} would have made the mail wait: ${failure.text}`)] : [];
  });
  return [row('  connected', `${address}: ${how}`), ...stricter];
}
