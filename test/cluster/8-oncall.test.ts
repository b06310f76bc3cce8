/**
 * What a person on call sees, on a real cluster: faults are planted, each on a relay of its own, and looked at with one
 * command after the other. Each must be told, with its cure, by the command that docs/on-call.md names, and by none
 * before it. "make soak" plants all of them and writes that page; "make test" plants a third. MAILRELAY_FAULTS=image,quota
 * plants some; with MAILRELAY_SOAK=1 their lines are written anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { installOperator, makeNamespace, prepared } from './kube.ts';
import { ALONE_FAULTS } from './oncall/alonefaults.ts';
import { CERTIFICATE_FAULTS } from './oncall/certificatefaults.ts';
import { NAMESPACE } from './oncall/commands.ts';
import { CONFIGURATION_FAULTS } from './oncall/configurationfaults.ts';
import type { Fault } from './oncall/fault.ts';
import { CLIENT_FAULTS, DELIVERY_FAULTS } from './oncall/mailfaults.ts';
import { POD_FAULTS } from './oncall/podfaults.ts';
import { Rows } from './oncall/rows.ts';
import { kubectl, makeSites, type Site } from './oncall/site.ts';
import { commandsBefore, isLineOf, renderPage, type Seen } from './oncall/table.ts';
import { Turns } from './oncall/turns.ts';

const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
const PAGE = new URL('../../docs/on-call.md', import.meta.url);
/** Mail is stuck after two minutes, and the figures of a pod are a minute old. */
const WITHIN_MS = 270_000;
/** Pods that start take all of a small machine. */
const STARTS_AT_ONCE = 3;
/** Each waits for its turn to start, and all of them for the last one. */
const TURNS_MS = 30 * 60_000;

const SIDE_BY_SIDE = [
  ...POD_FAULTS,
  ...CERTIFICATE_FAULTS,
  ...CONFIGURATION_FAULTS,
  ...DELIVERY_FAULTS,
  ...CLIENT_FAULTS,
];
const FAULTS = [...SIDE_BY_SIDE, ...ALONE_FAULTS];
const wanted = process.env['MAILRELAY_FAULTS']?.split(',');
const isWanted = ({ name, isQuick }: Fault) => (wanted ? wanted.includes(name) : SOAK || isQuick === true);

const starts = new Turns(STARTS_AT_ONCE);
const seen = new Map<Fault, Seen>();
let rows: Rows;
let sites: ReadonlyMap<Fault, Site>;

const siteOf = (fault: Fault) => sites.get(fault) as Site;

/** A name for this machine, and the authority of its certificates. */
async function makeSurroundings(): Promise<void> {
  installOperator();
  // On a cluster that is kept, that of the run before may be on its way out.
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found']);
  makeNamespace(NAMESPACE);
  const [site] = [...sites.values()];
  await site?.apply(
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'hop' },
      spec: { clusterIP: 'None', ports: [{ port: 25 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'hop', labels: { 'kubernetes.io/service-name': 'hop' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [prepared().nodeAddress] }],
      ports: [{ port: 25 }],
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'hop-ca' },
      data: { 'ca.crt': site.authority.cert },
    },
  );
}

async function plant(fault: Fault, site: Site): Promise<void> {
  await site.startHop();
  await site.make();
  if (fault.plant) await site.ready();
  else await untilRow(fault);
}

const untilRow = (fault: Fault) => until(`the row of ${fault.name}`, () => hasRow(fault), WITHIN_MS);

async function show(fault: Fault): Promise<void> {
  const site = siteOf(fault);
  await starts.take(() => plant(fault, site));
  await fault.plant?.(site);
  await untilRow(fault);
  let said = '';
  await until(
    `${fault.shows} by ${fault.command}`,
    async () => {
      said = await site.look(fault.command);
      if (!fault.shows.test(said)) throw new Error(`it says ${said}`);
      return true;
    },
    WITHIN_MS,
  );
  for (const command of commandsBefore(fault.command))
    assert.doesNotMatch(await site.look(command), fault.shows, `"${command}" tells it before`);
  seen.set(fault, { got: await lookForRow(fault, site), said });
}

/** Title and row of "kubectl get mr", in the moment in which it shows the fault: an edit has steps. */
function lookForRow({ name, row }: Fault, site: Site): Promise<string> {
  return until(
    `the row of ${name}`,
    async () => {
      const got = await site.look('get');
      if (!row.test(got.split('\n').at(-1) ?? '')) throw new Error(`it is "${got}"`);
      return got;
    },
    WITHIN_MS,
  );
}

/** What was planted goes, so that what follows has the machine for itself. */
async function heal(fault: Fault): Promise<void> {
  const site = siteOf(fault);
  await fault.heal?.(site);
  await site.close();
  await site.kubectl('delete', 'mr', site.name, '--ignore-not-found', '--wait=false');
}

/** True where kubectl shows what it should; else an error with the row. */
function hasRow({ name, row }: Fault): boolean {
  const shown = rows.of(name);
  if (!row.test(shown)) throw new Error(`it is "${shown}"`);
  return true;
}

describe('what an on-call person sees on a cluster', { concurrency: false }, () => {
  before(async () => {
    const faults = FAULTS.filter(isWanted);
    const made = await makeSites(faults);
    sites = new Map(faults.map((fault, index) => [fault, made[index] as Site]));
    await makeSurroundings();
    await Promise.all(SIDE_BY_SIDE.filter(isWanted).map((fault) => fault.prepare?.(siteOf(fault))));
    rows = new Rows();
  });
  after(async () => {
    rows?.stop();
    await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  describe('faults side by side', { concurrency: true }, () => {
    for (const fault of SIDE_BY_SIDE.filter(isWanted)) {
      test(fault.what, { timeout: TURNS_MS }, async () => {
        try {
          await show(fault);
        } finally {
          await heal(fault);
        }
      });
    }
  });

  describe('faults that every relay feels', { concurrency: false }, () => {
    for (const fault of ALONE_FAULTS.filter(isWanted)) {
      test(fault.what, { timeout: WITHIN_MS }, async () => {
        try {
          await fault.prepare?.(siteOf(fault));
          await show(fault);
        } finally {
          await heal(fault);
        }
      });
    }
  });

  test('the page has each fault that was planted, with the command that tells it', () => {
    const before = readFileSync(PAGE, 'utf8');
    const page = SOAK ? renderPage(FAULTS, seen, before) : before;
    if (SOAK) writeFileSync(PAGE, page);
    const lines = page.split('\n');
    const untold = FAULTS.filter(isWanted).filter((fault) => !lines.some((line) => isLineOf(line, fault)));
    assert.deepEqual(
      untold.map(({ name }) => name),
      [],
    );
  });
});
