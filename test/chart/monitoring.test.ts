/**
 * The alerts and dashboards of the chart, with a real Prometheus: each alert fires when it should, and every query of every
 * panel has an answer from a relay that runs.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { OperatorMetrics } from '#operator/metrics.ts';
import { unpacked } from '#test/kit/debian.ts';
import { Foreground } from '#test/kit/foreground.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { problem as noHelm, only, rendered } from './rendered.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const FILES = join(TOP, 'charts/mailrelay-operator/files');
const RULES = join(FILES, 'alerts.yaml');
const CASES = join(TOP, 'test/chart/alerts.yaml');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const alerts: readonly Alert[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(
  ({ rules }: { rules: Alert[] }) => rules,
);
const dashboards = readdirSync(join(FILES, 'dashboards')).map((name) => ({
  name,
  ...(JSON.parse(readFileSync(join(FILES, 'dashboards', name), 'utf8')) as { uid: string; panels: Panel[] }),
}));

/** The folder of Debian's Prometheus, or why there is none. */
function findPrometheus(): { bin: string; problem: false } | { bin: ''; problem: string } {
  try {
    return { bin: join(unpacked('prometheus', []), 'usr/bin'), problem: false };
  } catch (error) {
    return { bin: '', problem: `there is no Prometheus: ${(error as Error).message}` };
  }
}

const { bin, problem } = findPrometheus();
assert.ok(!(problem && process.env['CI']), String(problem));

describe('the alerts', () => {
  test('Prometheus reads them, and each fires where it should and nowhere else', { skip: problem }, () => {
    const promtool = (...args: string[]) =>
      execFileSync(join(bin, 'promtool'), args, { encoding: 'utf8', stdio: 'pipe' });
    assert.match(promtool('check', 'rules', RULES), new RegExp(`${alerts.length} rules found`));
    assert.match(promtool('test', 'rules', CASES), /SUCCESS/);
  });

  test('each has a case, a severity and a runbook', () => {
    const { tests } = parse(readFileSync(CASES, 'utf8'));
    const cases = tests.flatMap((one: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }) =>
      one.alert_rule_test
        .filter((expected) => expected.exp_alerts.length > 0)
        .map(({ alertname }) => alertname),
    );
    assert.deepEqual(cases.toSorted(), alerts.map(({ alert }) => alert).toSorted());
    const page = readFileSync(join(TOP, 'docs/alerts.md'), 'utf8');
    const sections = [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    assert.deepEqual(
      sections,
      alerts.map(({ alert }) => alert),
    );
    for (const { alert, labels, annotations } of alerts) {
      assert.ok(['critical', 'warning'].includes(labels.severity), alert);
      assert.equal(annotations.runbook_url, `https://mailrelay.dev/docs/alerts#${alert.toLowerCase()}`);
    }
  });
});

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

describe('the chart', { skip: noHelm }, () => {
  const labels = { release: 'prometheus' };

  test('has the alerts as a PrometheusRule, and neither it nor the dashboards without being asked', () => {
    const rule = only(rendered({ metrics: { prometheusRule: { enabled: true, labels } } }), 'PrometheusRule');
    assert.deepEqual(rule.spec, parse(readFileSync(RULES, 'utf8')));
    assert.equal(rule.metadata.labels['release'], 'prometheus');
    const quiet = rendered({}).filter(({ kind }) => ['PrometheusRule', 'ConfigMap'].includes(kind));
    assert.deepEqual(quiet, []);
  });

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
    assert.equal(dashboardsOf({ labels }).metadata.labels['release'], 'prometheus');
  });
});

describe('a Prometheus that scrapes a relay that runs', { skip: problem, concurrency: false }, () => {
  let [dir, port, hop] = ['', 0, 0];
  let relay: TestRelay;
  let sink: Sink;
  let operator: Server;
  let prometheus: Foreground;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mailrelay-prometheus-'));
    [port, hop] = [await freePort(), await freePort()];
    const codes: Readonly<Record<string, number>> = { 'none@example.com': 550, 'later@example.com': 450 };
    sink = await Sink.start({ port: hop, refuse: (address) => codes[address] });
    relay = await TestRelay.start({ manifest: ([first]) => storyManifest({ port: first, nextHop: hop }) });
    operator = await serveOperatorMetrics();
    const { port: operatorPort } = operator.address() as AddressInfo;
    const scrape = (job: string, target: number, namespace: string) =>
      `  - job_name: ${job}\n    static_configs: [{targets: ['127.0.0.1:${target}'], labels: {namespace: ${namespace}, pod: ${job}-0}}]\n`;
    const config = join(dir, 'prometheus.yml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [${RULES}]\nscrape_configs:\n${scrape('relay', relay.adminPort, 'mail')}${scrape('operator', operatorPort, 'mailrelay-system')}`,
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
    await relay?.remove();
    await sink?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  async function ask(
    path: string,
  ): Promise<{ readonly data: { readonly result: { value: [number, string] }[] } }> {
    return (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json() as ReturnType<typeof ask>;
  }

  async function query(expr: string): Promise<readonly string[]> {
    const { data } = await ask(`query?query=${encodeURIComponent(expr)}`);
    return data.result.map(({ value: [, value] }) => value);
  }

  /** Mail that is delivered, put off and returned, in plain text and in TLS, and a refusal. */
  async function makeTraffic(): Promise<void> {
    const [plain, secured] = [
      await SmtpClient.connect(relay.ports[0] ?? 0),
      await SmtpClient.connect(relay.ports[0] ?? 0),
    ];
    await plain.hello();
    assert.match(await plain.command('RCPT TO:<a@example.com>'), /^503/);
    const to = ['a@example.com', 'none@example.com', 'later@example.com'];
    assert.match(await plain.send('a@client.example', to, messageText('x')), /^250/);
    await secured.hello();
    await secured.secure();
    assert.match(await secured.send('a@client.example', ['b@example.com'], messageText('y')), /^250/);
    await Promise.all([plain.quit(), secured.quit()]);
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
      [relay.adminPort, (operator.address() as AddressInfo).port].map(async (one) =>
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

  test('the alerts can be judged on its series, and a relay that is well has none', async () => {
    const rules = await until('all rules to be judged', async () => {
      const { data } = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as {
        data: { groups: { rules: { name: string; health: string; state: string }[] }[] };
      };
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
