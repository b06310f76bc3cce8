/** The overview: figures of all pods, plots of the last hour, the pods, and one pod in detail. */
import { html } from 'htm/preact';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Look, PodLook, Sample } from '../api.ts';
import { formatAge, formatCount } from './format.ts';
import { Problems, Table } from './parts.ts';
import { Plots } from './plots.ts';
import { PodDetail } from './poddetail.ts';
import { linkSection } from './route.ts';
import { Taken } from './taken.ts';
import { say } from './texts.ts';

interface Props {
  readonly look: Look;
  readonly samples: readonly Sample[];
  /** The pod that is shown in detail. */
  readonly pod: string | undefined;
}

export function Overview({ look, samples, pod }: Props) {
  const { pods, cures, taken } = look;
  const shown = pods.find(({ name }) => name === pod) ?? pods.find(({ status }) => status) ?? pods[0];
  const isOne = pods.length === 1;
  return html`
    <${Figures} look=${look} />
    <${Problems} of=${pods.flatMap((one) => listProblems(one, isOne))} />
    <${Plots} samples=${samples} />
    ${!isOne && html`<${Pods} pods=${pods} shown=${shown?.name} />`}
    ${shown?.status && html`<${PodDetail} title=${isOne ? undefined : shown.name} status=${shown.status} outcomes=${shown.outcomes} cures=${cures} />`}
    ${taken.length > 0 && html`<${Taken} messages=${taken} />`}
  `;
}

function listProblems({ name, status, problem }: PodLook, isOne: boolean): string[] {
  const reasons =
    status && !status.ready ? say('notReady', { reasons: status.notReady.join('; ') }) : undefined;
  const text = problem ?? reasons;
  return text === undefined ? [] : [isOne ? text : `${name}: ${text}`];
}

function Figures({ look: { pods, tlsShare } }: { readonly look: Look }) {
  const statuses = pods.flatMap(({ status }) => status ?? []);
  const sum = (figure: (status: PodStatus) => number) =>
    formatCount(statuses.reduce((all, status) => all + figure(status), 0));
  const ready = statuses.filter((status) => status.ready).length;
  const held = sum(({ queue }) => queue.held);
  const figures = [
    [say('ready'), `${ready}/${pods.length}`, ready === pods.length ? '' : 'bad'],
    [say('openSessions'), sum(({ sessions }) => sessions.open), ''],
    [say('tlsShare'), tlsShare ?? '-', ''],
    [say('waiting'), sum(({ queue }) => queue.depth), ''],
    [say('held'), held, held === '0' ? '' : 'warn'],
    [say('oldest'), describeOldest(statuses), ''],
    [say('certificateEnds'), ...describeEnd(statuses)],
  ];
  return html`<dl class="figures" aria-label=${say('figures')}>
    ${figures.map(([name, value, tone]) => html`<div class=${tone}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function describeOldest(statuses: readonly PodStatus[]): string {
  const ages = statuses.flatMap(({ queue }) => queue.oldestSeconds ?? []);
  return ages.length === 0 ? '-' : formatAge(Math.max(...ages));
}

/** Of the certificate that ends first. */
function describeEnd(statuses: readonly PodStatus[]): [string, string] {
  const ends = statuses.flatMap(({ certificate }) => (certificate ? Date.parse(certificate.notAfter) : []));
  if (ends.length === 0) return ['-', ''];
  const seconds = (Math.min(...ends) - Date.now()) / 1000;
  const age = formatAge(seconds);
  return seconds > 0 ? [say('inAge', { age }), ''] : [say('ended', { age }), 'bad'];
}

function Pods({ pods, shown }: { readonly pods: readonly PodLook[]; readonly shown: string | undefined }) {
  const heads = [
    'pod',
    'ready',
    'version',
    'policy',
    'sessions',
    'tlsShare',
    'waiting',
    'held',
    'oldest',
  ] as const;
  const rows = pods.map(({ name, status, tlsShare }) => {
    const link = html`<a href=${linkSection('overview', name)} aria-current=${name === shown ? 'true' : undefined}>${name}</a>`;
    if (!status) return [link, say('unknown'), ...heads.slice(2).map(() => '-')];
    const { ready, version, policy, sessions, queue } = status;
    return [
      link,
      html`<span class=${ready ? 'good' : 'bad'}>${say(ready ? 'yes' : 'no')}</span>`,
      version,
      html`<code>${policy.hash ?? '-'}</code>`,
      formatCount(sessions.open),
      tlsShare ?? '-',
      formatCount(queue.depth),
      formatCount(queue.held),
      describeOldest([status]),
    ];
  });
  return html`<section class="panel" aria-label=${say('pods')}>
    <h2>${say('pods')}</h2>
    <${Table} caption=${say('pods')} heads=${heads.map((head) => say(head))} rows=${rows} numbers=${[4, 5, 6, 7]} />
  </section>`;
}
