/** One pod in detail: policy and certificates in service, and refusals in both directions. */
import { html } from 'htm/preact';
import type { CertificateFacts } from '#crds/certificatestatus.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Look, Outcomes } from '../api.ts';
import { formatAge, formatCount } from './format.ts';
import { Facts, Panel, Table, Time } from './parts.ts';
import { say } from './texts.ts';

interface Props {
  readonly title: string | undefined;
  readonly status: PodStatus;
  readonly outcomes: Outcomes | undefined;
  readonly cures: Look['cures'];
}

export function PodDetail({ title, status, outcomes, cures }: Props) {
  return html`
    ${title && html`<h2 class="podname">${title}</h2>`}
    <div class="panels">
      <${PolicyPanel} status=${status} />
      <${CertificatePanel} status=${status} />
      <${InboundPanel} status=${status} cures=${cures} />
      <${OutboundPanel} status=${status} outcomes=${outcomes} />
    </div>
  `;
}

function PolicyPanel({ status: { policy, missing, notInForce } }: { readonly status: PodStatus }) {
  const { hash, refused, summary } = policy;
  const listeners = summary?.listeners ?? [];
  const rows = listeners.map(({ name, port, starttls, implicitTLS, auth }) => [
    name,
    String(port),
    implicitTLS ? say('implicit') : `STARTTLS ${starttls}`,
    auth,
  ]);
  const heads = [say('listener'), say('port'), say('inboundTls'), say('login')];
  return html`<${Panel} title=${say('policyInService')}>
    <${Facts} of=${[
      [say('hash'), html`<code>${hash ?? say('none')}</code>`],
      [say('refusedPolicy'), refused ? html`<span class="bad">${refused.message}</span>` : undefined],
      [say('missing'), missing.length > 0 ? html`<span class="bad">${missing.join('; ')}</span>` : undefined],
      [say('notInForce'), notInForce.join('; ')],
      [say('delivers'), summary && describeWayOut(summary.outbound)],
    ]} />
    ${rows.length > 0 && html`<${Table} caption=${say('listeners')} heads=${heads} rows=${rows} numbers=${[1]} />`}
  <//>`;
}

function describeWayOut({ tlsLevel, routeCount, smartHosts }: Summary['outbound']): string {
  return [
    say('level', { level: tlsLevel }),
    ...(routeCount > 0 ? [say('routes', { count: routeCount })] : []),
    smartHosts.length > 0 ? smartHosts.join(', ') : say('byMx'),
  ].join(' · ');
}
type Summary = NonNullable<PodStatus['policy']['summary']>;

function CertificatePanel({ status }: { readonly status: PodStatus }) {
  const { certificate, internalCertificate, sniCertificates = [], policyHostCertificate } = status;
  const others = [
    [say('internal'), internalCertificate, status.internalCertificateProblem],
    ...sniCertificates.map(
      (one) => [say('forNames', { names: one.names.join(', ') }), one.certificate, one.problem] as const,
    ),
    [say('policyHost'), policyHostCertificate, status.policyHostCertificateProblem],
  ] as const;
  const further = others.filter(([, facts, problem]) => facts || problem);
  const heading = (text: string) => further.length > 0 && html`<h3>${text}</h3>`;
  return html`<${Panel} title=${say('certificateInService')}>
    ${heading(say('certificate'))}
    <${Certificate} facts=${certificate} problem=${status.certificateProblem} />
    ${further.map(
      ([name, facts, problem]) => html`${heading(name)}<${Certificate} facts=${facts} problem=${problem} />`,
    )}
  <//>`;
}

interface CertificateProps {
  readonly facts: CertificateFacts | null;
  readonly problem: PodStatus['certificateProblem'];
}

function Certificate({ facts, problem }: CertificateProps) {
  const fault = problem && html`<span class="bad">${problem.reason}: ${problem.message}</span>`;
  if (!facts)
    return html`<${Facts} of=${[[say('certificate'), say('none')], [say('problem'), fault ?? undefined]]} />`;
  const seconds = (Date.parse(facts.notAfter) - Date.now()) / 1000;
  const age = formatAge(seconds);
  const left = seconds > 0 ? say('inAge', { age }) : html`<span class="bad">${say('ended', { age })}</span>`;
  return html`<${Facts} of=${[
    [say('names'), facts.names.join(', ')],
    [say('until'), html`<${Time} at=${facts.notAfter} /> (${left})`],
    [say('issuer'), facts.issuer],
    [say('serial'), html`<code>${facts.serial}</code>`],
    [say('problem'), fault ?? undefined],
  ]} />`;
}

interface InboundProps {
  readonly status: PodStatus;
  readonly cures: Look['cures'];
}

function InboundPanel({ status: { sessions }, cures }: InboundProps) {
  const { refusals = [], plaintextClients } = sessions;
  const rows = refusals.map(({ reason, count, lastSeen, client, helo }) => [
    html`<code>${reason}</code>${cures[reason] && html`<span class="cure">${cures[reason]}</span>`}`,
    formatCount(count),
    html`<${Time} at=${lastSeen} />`,
    client === undefined ? '-' : html`${client} <span class="quiet">${helo}</span>`,
  ]);
  const heads = [say('reason'), say('count'), say('last'), say('client')];
  return html`<${Panel} title=${say('inbound')}>
    ${
      rows.length === 0
        ? html`<p class="quiet">${say('noRefusals')}</p>`
        : html`<${Table} caption=${say('inbound')} heads=${heads} rows=${rows} numbers=${[1]} />`
    }
    ${plaintextClients > 0 && html`<p class="quiet">${say('plaintext', { count: plaintextClients })}</p>`}
  <//>`;
}

interface OutboundProps {
  readonly status: PodStatus;
  readonly outcomes: Outcomes | undefined;
}

function OutboundPanel({ status: { queue, outbound }, outcomes }: OutboundProps) {
  const refusing = [...queue.loginsRefused, ...(queue.secretsHeldBack ?? [])].map(
    ({ destination, message }) => [destination, `${say('loginRefused')}: ${message}`],
  );
  const rows = [...refusing, ...queue.deferrals.map(({ destination, message }) => [destination, message])];
  const heads = [say('destination'), say('answer')];
  return html`<${Panel} title=${say('outbound')}>
    ${
      rows.length === 0
        ? html`<p class="quiet">${say('noDeferrals')}</p>`
        : html`<${Table} caption=${say('outbound')} heads=${heads} rows=${rows} />`
    }
    ${outcomes && html`<${Facts} of=${[[say('sinceStart'), describeOutcomes(outcomes)]]} />`}
    ${outbound && outbound.deliveries > 0 && html`<${Posture} outbound=${outbound} />`}
  <//>`;
}

function describeOutcomes(outcomes: Outcomes): string {
  const names = ['delivered', 'deferred', 'bounced'] as const;
  return names
    .map((name) => say('value', { name: say(name), value: formatCount(outcomes[name]) }))
    .join(' · ');
}

type Outbound = NonNullable<PodStatus['outbound']>;

function Posture({ outbound }: { readonly outbound: Outbound }) {
  const { deliveries, level, version, verifiedBy, fellBack } = outbound;
  return html`<h3>${say('deliveries', { count: formatCount(deliveries) })}</h3>
    <${Facts} of=${[
      [say('levelMet'), describeShares(level)],
      [say('tlsVersion'), describeShares(version)],
      [say('verifiedBy'), describeShares(verifiedBy)],
      [say('fellBack'), describeShares(fellBack.filter(({ value }) => value !== 'no'))],
    ]} />`;
}

function describeShares(shares: Outbound['level']): string {
  return shares.map(({ value, count }) => `${value} ${formatCount(count)}`).join(' · ');
}
