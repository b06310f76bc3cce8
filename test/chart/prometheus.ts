/** The alerts of the chart, and the Prometheus that judges them: that of Debian. With CI set it must be there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { unpacked } from '#test/kit/debian.ts';

export const FILES = new URL('../../charts/mailrelay-operator/files', import.meta.url).pathname;
export const RULES = join(FILES, 'alerts.yaml');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

export const alerts: readonly Alert[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(
  ({ rules }: { rules: Alert[] }) => rules,
);

/** The folder of Debian's Prometheus, or why there is none. */
function findPrometheus(): { bin: string; problem: false } | { bin: ''; problem: string } {
  try {
    return { bin: join(unpacked('prometheus', []), 'usr/bin'), problem: false };
  } catch (error) {
    return { bin: '', problem: `there is no Prometheus: ${(error as Error).message}` };
  }
}

export const { bin, problem } = findPrometheus();
assert.ok(!(problem && process.env['CI']), String(problem));
