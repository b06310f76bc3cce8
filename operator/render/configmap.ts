/**
 * The ConfigMap that the pods mount: the policy file, the scale file and the authorities file, which are not part of the
 * policy, and the configuration of the resolver beside the relay. The names of the first three have the version of their
 * format, so that a relay finds the file that it can read. Pure.
 */
import { AUTHORITIES_FILE_NAME } from '#crds/authoritiesfile.ts';
import { certificateSecretName } from '#crds/effective.ts';
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { hashContent, POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { printScale, SCALE_FILE_NAME, scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { APPLIED_ANNOTATION } from '../compare.ts';
import type { KubeObject } from '../kube/client.ts';
import type { World } from '../world.ts';
import { renderAuthoritiesFile } from './authority.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';
import { RESOLVER_FILE_NAME, renderSidecarConfig } from './resolver.ts';

const FILES: readonly string[] = [
  POLICY_FILE_NAME,
  SCALE_FILE_NAME,
  AUTHORITIES_FILE_NAME,
  RESOLVER_FILE_NAME,
];

/** See servedsecret.ts of the records. */
function servedSecret({ metadata, spec }: MailRelay): Record<string, string> {
  const secret = effectiveDns(spec).tlsa ? certificateSecretName(metadata.name, spec) : undefined;
  return secret === undefined ? {} : { [ANNOTATIONS.certificate]: secret };
}

/** The marks say how far a key has rolled over: see rollover.ts of the records. */
export function renderConfigMap(
  relay: MailRelay,
  policy: Policy,
  objects?: World['objects'],
  marks: Readonly<Record<string, string>> = {},
): Rendered {
  const annotations = { ...servedSecret(relay), ...marks };
  const { name, namespace } = relay.metadata;
  const { replicas } = relay.spec;
  const siblings = Array.from({ length: replicas }, (_, ordinal) =>
    objectNames.host(name, namespace, ordinal),
  );
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      ...renderMetadata(relay, objectNames.policy(name)),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    data: {
      [POLICY_FILE_NAME]: printPolicy(policy),
      [SCALE_FILE_NAME]: printScale(replicas, siblings, scaleOrder(relay.metadata)),
      ...renderAuthoritiesFile(relay, objects),
      ...renderSidecarConfig(relay),
    },
  };
}

/**
 * True if nobody has changed what was applied last. What others add does not count: other files, labels, annotations. Nor do
 * labels that are away.
 */
export function isAsApplied(relay: MailRelay, live: KubeObject): boolean {
  const annotations = pick(live.metadata.annotations, Object.values(ANNOTATIONS));
  const wanted = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      ...renderMetadata(relay, live.metadata.name),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    data: pick(live['data'], FILES),
  };
  return live.metadata.annotations?.[APPLIED_ANNOTATION] === hashContent(wanted);
}

function pick(values: unknown, names: readonly string[]): Record<string, string> {
  const all = (values ?? {}) as Readonly<Record<string, string>>;
  return Object.fromEntries(names.flatMap((name) => (name in all ? [[name, all[name] as string]] : [])));
}
