/** The alerts of the chart: each fires when it should, has a runbook, and reaches Prometheus through the chart. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { alerts, bin, problem, RULES } from './prometheus.ts';
import { problem as noHelm, only, rendered } from './rendered.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const CASES = join(TOP, 'test/chart/alerts.yaml');

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

describe('the PrometheusRule', { skip: noHelm }, () => {
  const ruleOf = (values: object) =>
    only(rendered({ metrics: { prometheusRule: { enabled: true, ...values } } }), 'PrometheusRule');

  test('has the alerts, and neither it nor the dashboards are there without being asked for', () => {
    const rule = ruleOf({ labels: { release: 'prometheus' } });
    assert.deepEqual(rule.spec, parse(readFileSync(RULES, 'utf8')));
    assert.equal(rule.metadata.labels['release'], 'prometheus');
    const quiet = rendered({}).filter(({ kind }) => ['PrometheusRule', 'ConfigMap'].includes(kind));
    assert.deepEqual(quiet, []);
  });

  test('leads to the runbooks where you have them', () => {
    const runbookURL = 'https://git.example.com/mail/docs/alerts.md';
    const { groups } = ruleOf({ runbookURL }).spec as { groups: { rules: typeof alerts }[] };
    const links = groups.flatMap(({ rules }) => rules.map(({ annotations }) => annotations.runbook_url));
    assert.deepEqual(
      links,
      alerts.map(({ alert }) => `${runbookURL}#${alert.toLowerCase()}`),
    );
    for (const wrong of ['docs/alerts', 'https://git.example.com/#alerts'])
      assert.throws(() => ruleOf({ runbookURL: wrong }), /runbookURL/);
  });
});
