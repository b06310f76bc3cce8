/**
 * The pages for those who come from Postfix: no value of the chart bokysan/mail is left out, and every field that stands beside a
 * setting of theirs is one of the MailRelay.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';

const TOP = new URL('../../', import.meta.url).pathname;
const MIGRATION = 'docs/migrate-from-bokysan.md';
const PAGES = [MIGRATION, 'docs/postfix.md'];
/** Of values.yaml of that chart. What is not listed by its parts is answered as a whole. */
const VALUES = `replicaCount image imagePullSecrets nameOverride fullnameOverride
  serviceAccount.create serviceAccount.labels serviceAccount.annotations serviceAccount.name
  service.type service.port service.labels service.annotations service.spec service.appprotocol
  service.externalTrafficPolicy service.externalIPs service.nodePort
  headlessService metrics recreateOnRedeploy resources autoscaling nodeSelector tolerations affinity schedulerName
  priorityClassName extraVolumes extraVolumeMounts extraInitContainers extraEnv extraContainers
  deployment.labels deployment.annotations pod.securityContext pod.labels pod.annotations container.postfix.securityContext
  certs.create certs.existingSecret secret existingSecret mountSecret config.opendkim config.rspamd
  dns persistence.enabled persistence.accessModes persistence.existingClaim persistence.size persistence.storageClass
  readinessProbe livenessProbe startupProbe lifecycle preStopSleepSeconds terminationGracePeriodSeconds
  TZ FORCE_COLOR INBOUND_DEBUGGING ALLOWED_SENDER_DOMAINS ALLOW_EMPTY_SENDER_DOMAINS LOG_FORMAT RELAYHOST SASL_RELAYHOST
  RELAYHOST_USERNAME RELAYHOST_PASSWORD MASQUERADED_DOMAINS SMTP_HEADER_CHECKS DKIM_SELECTOR DKIM_AUTOGENERATE DKIM_BACKEND`;

const read = (path: string) => readFileSync(`${TOP}${path}`, 'utf8');
const { spec: SPEC } = parse(read('crds/mailrelay.yaml')).spec.versions[0].schema.openAPIV3Schema
  .properties as Readonly<Record<string, Schema>>;

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
}

/** The names in code, in full: of `service.type`, `.labels` the second one is service.labels. What stands behind a colon is a value. */
function namesIn(text: string): string[] {
  let group = '';
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => {
    const name = (code.split(/[:=\s]/)[0] ?? '').replaceAll('[]', '');
    if (name.startsWith('.')) return `${group}${name}`;
    group = name.replace(/\.?\w+$/, '');
    return name;
  });
}

/** Of all tables whose last column is for the MailRelay. */
function rowsOf(path: string): { readonly theirs: string; readonly ours: string }[] {
  return [...read(path).matchAll(/^\| .* \| MailRelay \|\n\| --- \| --- \|\n((?:\|.*\n)+)/gm)].flatMap(
    ([, rows = '']) =>
      [...rows.matchAll(/^\| (.*) \| (.*) \|$/gm)].map(([, theirs = '', ours = '']) => ({ theirs, ours })),
  );
}

function isField(names: readonly string[], schema: Schema | undefined): boolean {
  const [name = '', ...rest] = names;
  if (schema === undefined || names.length === 0) return schema !== undefined;
  if (schema.items) return isField(names, schema.items);
  return isField(rest, schema.properties?.[name] ?? schema.additionalProperties);
}

test('every value of the chart bokysan/mail has an answer', () => {
  const prose = read(MIGRATION)
    .replace(/^\|.*$/gm, '')
    .replace(/^## An example[\s\S]*/m, '');
  const answered = new Set([...rowsOf(MIGRATION).map(({ theirs }) => theirs), prose].flatMap(namesIn));
  const lost = VALUES.split(/\s+/).filter((value) => !answered.has(value));
  assert.deepEqual(lost, []);
});

test('every field beside a setting of Postfix is one of the MailRelay', () => {
  const tops = new Set(Object.keys(SPEC?.properties ?? {}));
  const rows = PAGES.flatMap(rowsOf);
  assert.ok(rows.length > 70, `${rows.length} rows`);
  const fields = rows
    .flatMap(({ ours }) => namesIn(ours))
    .filter((name) => tops.has(name.split('.')[0] ?? ''));
  assert.ok(fields.length > 50, `${fields.length} fields`);
  assert.deepEqual(
    fields.filter((name) => !isField(name.split('.'), SPEC)),
    [],
  );
  assert.ok(isField(['inbound', 'listeners', 'nodePort'], SPEC) && !isField(['inbound', 'listener'], SPEC));
});
