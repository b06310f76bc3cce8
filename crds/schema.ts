/**
 * Renders the CustomResourceDefinition from the Zod source: a structural OpenAPI v3 schema with the CEL rules, list
 * types and subresources that the API server needs. Pure: generate.ts writes the files.
 */
import { z } from 'zod';
import { mailRelaySpec } from './mailrelay.ts';
import { NAME_RULE, RULES, TRANSITION_RULES } from './rules.ts';
import { mailRelayStatus, UNSEEN } from './status.ts';
import { ANNOTATIONS, GROUP, KIND, PLURAL, VERSION } from './wellknown.ts';

export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  /** The schema of the values of a map. */
  additionalProperties?: Schema;
  required?: string[];
  [keyword: string]: unknown;
}

/** The schema of one part for the API server: without $schema, and without keywords that it does not know. */
function openApi(part: z.ZodType): Schema {
  const schema = z.toJSONSchema(part, { target: 'openapi-3.0', io: 'input' }) as Schema;
  return cleaned(schema);
}

function cleaned(schema: Schema): Schema {
  const { $schema: _, propertyNames: __, additionalProperties: values, ...rest } = schema;
  if (rest.properties) rest.properties = mapValues(rest.properties, cleaned);
  if (rest.items) rest.items = cleaned(rest.items);
  // Only a map has a schema for its values.
  return values?.type ? { ...rest, additionalProperties: cleaned(values) } : rest;
}

function mapValues(
  record: Record<string, Schema>,
  change: (schema: Schema, key: string) => Schema,
): Record<string, Schema> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}

function toValidation({ cel, message }: { readonly cel: string; readonly message: string }) {
  return { rule: cel, message };
}

/** The same schema with the rules that are about a single field of a name, wherever there is one. */
function withFieldRules(schema: Schema, name?: string): Schema {
  const rules = RULES.filter(({ tolerated }) => tolerated !== undefined && tolerated.field === name);
  const { properties, items } = schema;
  return {
    ...schema,
    ...(properties && { properties: mapValues(properties, withFieldRules) }),
    ...(items && { items: withFieldRules(items) }),
    ...(rules.length > 0 ? { 'x-kubernetes-validations': rules.map(toValidation) } : {}),
  };
}

/** The schema of a whole MailRelay. */
export function mailRelaySchema(): Schema {
  const spec = withFieldRules(openApi(mailRelaySpec));
  spec.description = 'The wanted state of the relay.';
  const whole = RULES.filter(({ tolerated }) => tolerated === undefined);
  spec['x-kubernetes-validations'] = [...whole, ...TRANSITION_RULES].map(toValidation);
  const status = openApi(mailRelayStatus);
  status.description = 'The state of the relay, as its pods report it.';
  status['default'] = UNSEEN;
  return {
    type: 'object',
    description:
      'A MailRelay is a set of pods that take mail over SMTP by one STARTTLS policy, keep it on disk, and deliver it by another.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'The version of this schema.' },
      kind: { type: 'string', description: 'Always MailRelay.' },
      // The API server allows nothing but the type here.
      metadata: { type: 'object' },
      spec,
      status,
    },
    'x-kubernetes-validations': [{ rule: NAME_RULE.cel, message: NAME_RULE.message }],
  };
}

const PAUSED = `.metadata.annotations.${ANNOTATIONS.paused.replaceAll('.', '\\.')}`;

const COLUMNS = [
  { name: 'Ready', type: 'string', jsonPath: '.status.ready' },
  { name: 'Reason', type: 'string', jsonPath: `.status.conditions[?(@.type=='Ready')].reason` },
  { name: 'Problems', type: 'string', jsonPath: '.status.problems' },
  { name: 'STARTTLS', type: 'string', jsonPath: '.status.starttls' },
  { name: 'Queue', type: 'integer', jsonPath: '.status.queue.depth' },
  // Not of type date: kubectl prints a date as an age, and a date in the future as <invalid>.
  { name: 'Certificate', type: 'string', jsonPath: '.status.certificate.notAfter' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Hostname', type: 'string', jsonPath: '.spec.hostname', priority: 1 },
  { name: 'Generation', type: 'integer', jsonPath: '.metadata.generation', priority: 1 },
  { name: 'Observed', type: 'integer', jsonPath: '.status.observedGeneration', priority: 1 },
  { name: 'Class', type: 'string', jsonPath: '.spec.className', priority: 1 },
  { name: 'TLS', type: 'string', jsonPath: '.status.tlsShare', priority: 1 },
  { name: 'Paused', type: 'string', jsonPath: PAUSED, priority: 1 },
  { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
];

/** The whole CustomResourceDefinition object. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: 'mailrelay',
        shortNames: ['mr'],
        categories: ['mailrelay'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: COLUMNS,
          selectableFields: [{ jsonPath: '.spec.tls.secretName' }, { jsonPath: '.spec.inbound.starttls' }],
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          schema: { openAPIV3Schema: mailRelaySchema() },
        },
      ],
    },
  };
}
