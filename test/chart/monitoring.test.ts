/**
 * The dashboards of the chart, with a real Prometheus: every query of every panel has an answer from a relay that runs, and
 * its alerts are quiet.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { OperatorMetrics } from '#operator/metrics.ts';
import { Rig } from '#test/dialog/rig.ts';
import { Foreground } from '#test/kit/foreground.ts';
import { freePort } from '#test/kit/ports.ts';
import { plain } from '#test/kit/sasl.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { alerts, bin, FILES, problem, RULES } from './prometheus.ts';
import { problem as noHelm, only, rendered } from './rendered.ts';

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

/** A list to choose from, above the panels. */
interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string;
}

const dashboards = readdirSync(join(FILES, 'dashboards')).map((name) => ({
  name,
  ...(JSON.parse(readFileSync(join(FILES, 'dashboards', name), 'utf8')) as {
    uid: string;
    panels: Panel[];
    templating: { list: Variable[] };
  }),
}));

test('panels have different places, and lines with names', () => {
  assert.deepEqual(dashboards.map(({ uid }) => uid).toSorted(), ['mailrelay-operator', 'mailrelay-relay']);
  for (const { name, panels } of dashboards) {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length, name);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
    for (const { title, targets } of panels)
      assert.equal(new Set(targets.map(({ legendFormat }) => legendFormat)).size, targets.length, title);
  }
});

test('a line that is named by its labels has no stand-in without them, which would tell of a 0 that nobody has counted', () => {
  const faults = dashboards.flatMap(({ panels }) =>
    panels.flatMap(({ title, targets }) =>
      targets
        .filter(({ expr, legendFormat }) => legendFormat.includes('{{') && /\bor vector\(/.test(expr))
        .map(() => title),
    ),
  );
  assert.deepEqual(faults, []);
});

describe('the chart', { skip: noHelm }, () => {
  test('has the dashboards as a ConfigMap for the sidecar of Grafana', () => {
    const dashboardsOf = (values: object) =>
      only(rendered({ metrics: { dashboards: { enabled: true, ...values } } }), 'ConfigMap');
    const { metadata, data } = dashboardsOf({ annotations: { folder: 'Mail' } });
    assert.equal(metadata.labels['grafana_dashboard'], '1');
    assert.equal(metadata.annotations?.['folder'], 'Mail');
    for (const { name } of dashboards)
      assert.deepEqual(
        JSON.parse((data as Record<string, string>)[`mailrelay-${name}`] ?? ''),
        JSON.parse(readFileSync(join(FILES, 'dashboards', name), 'utf8')),
      );
    assert.equal(
      dashboardsOf({ labels: { release: 'prometheus' } }).metadata.labels['release'],
      'prometheus',
    );
  });
});

describe('a Prometheus that scrapes a relay that runs', { skip: problem, concurrency: false }, () => {
  let [dir, port] = ['', 0];
  let rig: Rig;
  let operator: Server;
  let prometheus: Foreground;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mailrelay-prometheus-'));
    port = await freePort();
    const codes: Readonly<Record<string, number>> = { 'none@example.com': 550, 'later@example.com': 450 };
    rig = await Rig.start({
      listeners: { smtp: { auth: 'Optional' } },
      inbound: { clients: { networks: ['127.0.0.0/8'], credentialsSecretName: 'users' } },
      secrets: { users: { app: await hashPassword('correct horse', 4096) } },
      hop: { refuse: (address) => codes[address] },
    });
    operator = await serveOperatorMetrics();
    const { port: operatorPort } = operator.address() as AddressInfo;
    const scrape = (job: string, target: number, namespace: string) =>
      `  - job_name: ${job}\n    static_configs: [{targets: ['127.0.0.1:${target}'], labels: {namespace: ${namespace}, pod: ${job}-0}}]\n`;
    const config = join(dir, 'prometheus.yml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [${RULES}]\nscrape_configs:\n${scrape('relay', rig.relay.adminPort, 'mail')}${scrape('operator', operatorPort, 'mailrelay-system')}`,
    );
    prometheus = await Foreground.start({
      name: 'Prometheus',
      command: [
        join(bin, 'prometheus'),
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(dir, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      port,
    });
  });

  after(async () => {
    await prometheus?.stop();
    operator?.close();
    await rig?.end();
    rmSync(dir, { recursive: true, force: true });
  });

  async function ask<Data>(path: string): Promise<{ readonly data: Data }> {
    return (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json() as Promise<{ data: Data }>;
  }

  async function query(expr: string): Promise<readonly string[]> {
    const path = `query?query=${encodeURIComponent(expr)}`;
    const { data } = await ask<{ readonly result: { value: [number, string] }[] }>(path);
    return data.result.map(({ value: [, value] }) => value);
  }

  /** Mail that is delivered, put off and returned, in plain text and in TLS, a refusal and a login. */
  async function makeTraffic(): Promise<void> {
    const [open, secured] = [await rig.client('smtp'), await rig.secureClient('smtp')];
    assert.match(await open.command('RCPT TO:<a@example.com>'), /^503/);
    const to = ['a@example.com', 'none@example.com', 'later@example.com'];
    assert.match(await open.send('a@client.example', to, messageText('x')), /^250/);
    assert.match(await secured.command(`AUTH PLAIN ${plain('app', 'correct horse')}`), /^235/);
    assert.match(await secured.send('a@client.example', ['b@example.com'], messageText('y')), /^250/);
    await Promise.all([open.quit(), secured.quit()]);
  }

  const accepted = (least: number) =>
    until(`${least} messages in Prometheus`, async () => {
      const [value = '0'] = await query('sum(mailrelay_messages_accepted_total)');
      return Number(value) >= least;
    });

  test('every query of every panel has an answer, and every metric exists', async () => {
    await makeTraffic();
    await accepted(2);
    await makeTraffic();
    await accepted(4);
    const texts = await Promise.all(
      [rig.relay.adminPort, (operator.address() as AddressInfo).port].map(async (one) =>
        (await fetch(`http://127.0.0.1:${one}/metrics`)).text(),
      ),
    );
    const known = new Set([...texts.join('').matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const expressions = [
      ...alerts,
      ...dashboards.flatMap(({ panels }) => panels.flatMap(({ targets }) => targets)),
    ];
    for (const { expr } of expressions)
      for (const [name] of expr.matchAll(/mailrelay_\w+/g))
        assert.ok(
          known.has(name) || known.has(name.replace(/_(bucket|count|sum)$/, '')),
          `${name} in ${expr}`,
        );

    for (const { name, panels } of dashboards)
      for (const { title, targets } of panels)
        for (const { expr } of targets) {
          const asked = expr.replace(/\$(job|pod)/g, '.+').replaceAll('$__rate_interval', '1m');
          await until(`an answer for "${title}" of ${name}: ${asked}`, async () => {
            const values = await query(asked);
            return values.length > 0 && values.every((value) => value !== 'NaN');
          });
        }
  });

  test('every list to choose from has what a Prometheus finds', async () => {
    const queries = dashboards.flatMap(({ templating }) =>
      templating.list.filter(({ type }) => type === 'query').map(({ query }) => query),
    );
    assert.equal(queries.length, 3);
    for (const text of queries) {
      const [, series = '', label] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
      const match = encodeURIComponent(series.replace('$job', '.*'));
      const { data } = await ask<string[]>(`label/${label}/values?match[]=${match}`);
      assert.equal(data.length, 1, text);
    }
  });

  test('the alerts can be judged on its series, and a relay that is well has none', async () => {
    const rules = await until('all rules to be judged', async () => {
      const { data } = await ask<{
        groups: { rules: { name: string; health: string; state: string }[] }[];
      }>('rules');
      const all = data.groups.flatMap((group) => group.rules);
      return all.length === alerts.length && all.every(({ health }) => health === 'ok') && all;
    });
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
    assert.deepEqual(firing, []);
  });
});

/** The metrics of the operator by its own code, with figures of a quiet day. */
async function serveOperatorMetrics(): Promise<Server> {
  const metrics = new OperatorMetrics();
  const server = createServer(async (_request, response) => {
    metrics.reconciled('ok', 20);
    metrics.answered('GET', 5);
    response.end(
      await metrics.render({
        queueDepth: 0,
        queueOldestMs: 0,
        leading: true,
        watches: [{ kind: 'Pod', restarts: 1, lastEventAt: Date.now() - 1000 }],
        namespaces: [{ namespace: 'mail', watched: true }],
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
