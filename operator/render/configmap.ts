/**
 * The ConfigMap that the pods mount: the policy file, the scale file and the authorities file, which are not part of the
 * policy, and the configuration of the resolver beside the relay. The names of the first three have the version of their
 * format, so that a relay finds the file that it can read. Pure.
 */
import { certificateSecretName } from '#crds/effective.ts';
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { printScale, SCALE_FILE_NAME, scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { World } from '../world.ts';
import { renderAuthoritiesFile } from './authority.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';
import { renderSidecarConfig } from './resolver.ts';

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
