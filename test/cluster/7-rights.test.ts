/**
 * What the operator may do, asked of the API server itself: every verb of every resource that it knows, in a namespace
 * that is watched, in one that is not, in its own, and cluster-wide. What is allowed is exactly the table of
 * permissions, in both modes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  LEASE_NAME,
  ownPermissions,
  type Permission,
  RELAY_PERMISSIONS,
} from '#operator/kube/permissions.ts';
import { client, installOperator, kubectl, makeNamespace, OPERATOR_NAMESPACE } from './kube.ts';

const WATCHED = 'watched';
const OTHER = 'other';
const AT_ONCE = 64;

interface Resource {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  /** Of this one object. */
  readonly name?: string;
}

/** As the cluster has it installed; its Lease is named after it. */
const RELEASE = 'mailrelay';
const OWN_PERMISSIONS = ownPermissions(RELEASE);

interface Question {
  readonly resource: Resource;
  readonly verb: string;
}

/** Not among those that discovery tells: what is limited to a name, and what is worth as much as a key. */
const HIDDEN: readonly Question[] = [
  ...[LEASE_NAME, RELEASE, 'other'].flatMap((name) =>
    ['get', 'update', 'patch', 'delete'].map((verb) => ({
      resource: { group: 'coordination.k8s.io', resource: 'leases', subresource: '', name },
      verb,
    })),
  ),
  ...['users', 'groups', 'serviceaccounts'].map((resource) => ({
    resource: { group: '', resource, subresource: '' },
    verb: 'impersonate',
  })),
  ...['roles', 'clusterroles'].flatMap((resource) =>
    ['bind', 'escalate'].map((verb) => ({
      resource: { group: 'rbac.authorization.k8s.io', resource, subresource: '' },
      verb,
    })),
  ),
  { resource: { group: '*', resource: '*', subresource: '' }, verb: 'get' },
  { resource: { group: '*', resource: '*', subresource: '' }, verb: '*' },
];

let questions: readonly Question[];
/** What any account may do, such as asking what it may do. */
let common: ReadonlySet<string>;

/** Every verb of every resource, and all verbs at once. */
async function discovered(): Promise<Question[]> {
  const { groups } = await client().request<{
    groups: { name: string; preferredVersion: { groupVersion: string } }[];
  }>({
    method: 'GET',
    path: '/apis',
  });
  const places = [
    { group: '', path: '/api/v1' },
    ...groups.map(({ name, preferredVersion }) => ({
      group: name,
      path: `/apis/${preferredVersion.groupVersion}`,
    })),
  ];
  const lists = await Promise.all(
    places.map(async ({ group, path }) => {
      const list = await client().request<{ resources: { name: string; verbs: string[] }[] }>({
        method: 'GET',
        path,
      });
      return list.resources.flatMap(({ name, verbs }) => {
        const [resource = '', subresource = ''] = name.split('/');
        return [...verbs, '*'].map((verb) => ({ resource: { group, resource, subresource }, verb }));
      });
    }),
  );
  return lists.flat();
}

async function isAllowed(
  account: string,
  namespace: string,
  verb: string,
  resource: Resource,
): Promise<boolean> {
  const { status } = await client().request<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: `system:serviceaccount:${OPERATOR_NAMESPACE}:${account}`,
        groups: [
          'system:serviceaccounts',
          `system:serviceaccounts:${OPERATOR_NAMESPACE}`,
          'system:authenticated',
        ],
        resourceAttributes: { namespace, verb, ...resource },
      },
    },
  });
  return status.allowed;
}

/** Everything that the account may do there, as sorted lines; an empty namespace is the whole cluster. */
async function rightsOf(account: string, namespace: string): Promise<string[]> {
  const left = [...questions, ...HIDDEN];
  const allowed: string[] = [];
  const ask = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      if (await isAllowed(account, namespace, next.verb, next.resource))
        allowed.push(lineOf(next.verb, next.resource));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  return allowed.toSorted();
}

async function ownRights(namespace: string): Promise<string[]> {
  const rights = await rightsOf('mailrelay', namespace);
  return rights.filter((line) => !common.has(line));
}

function lineOf(verb: string, { group, resource, subresource, name }: Resource): string {
  const what = `${resource}${subresource ? `/${subresource}` : ''}${group ? `.${group}` : ''}`;
  return `${verb} ${what}${name ? ` ${name}` : ''}`;
}

function linesOf(permissions: readonly Permission[]): string[] {
  const lines = permissions.flatMap(({ group, resources, resourceNames = [''], verbs }) =>
    resources.flatMap((path) => {
      const [resource = '', subresource = ''] = path.split('/');
      return resourceNames.flatMap((name) =>
        verbs.map((verb) => lineOf(verb, { group, resource, subresource, name })),
      );
    }),
  );
  return [...new Set(lines)].toSorted();
}

/** What the table has and this cluster knows: there need not be a Prometheus. */
function known(lines: readonly string[]): string[] {
  const asked = new Set([...questions, ...HIDDEN].map(({ verb, resource }) => lineOf(verb, resource)));
  return lines.filter((line) => asked.has(line));
}

describe('the rights of the operator', { concurrency: false }, () => {
  before(async () => {
    installOperator();
    makeNamespace(WATCHED);
    makeNamespace(OTHER);
    questions = await discovered();
    assert.ok(questions.length > 500, `only ${questions.length} questions`);
    common = new Set(await rightsOf('default', ''));
  });

  after(() => installOperator('watchNamespaces=null'));

  test('the table has no Secrets, no way into pods, no wildcards, and no write to what users own', () => {
    const all = linesOf([...RELAY_PERMISSIONS, ...OWN_PERMISSIONS]).join('\n');
    assert.doesNotMatch(all, /secrets|pods\/|token|\*|impersonate|escalate|bind|roles|nodes/);
    assert.doesNotMatch(all, /^(create|update|patch|delete\w*) (mailrelays|certificaterequests|issuers)\./m);
    assert.doesNotMatch(
      all,
      /^(create|update|delete\w*) pods$|^(create|update|deletecollection) persistentvolumeclaims$/m,
    );
  });

  test('cluster mode: the table everywhere, its Lease at home, and nothing more', async () => {
    assert.deepEqual(await ownRights(''), known(linesOf(RELAY_PERMISSIONS)));
    const atHome = known(linesOf([...RELAY_PERMISSIONS, ...OWN_PERMISSIONS]));
    assert.deepEqual(await ownRights(OPERATOR_NAMESPACE), atHome);
  });

  test('namespaced mode: the table where it watches, its Lease at home, and nothing anywhere else', async () => {
    installOperator(`watchNamespaces={${WATCHED}}`);
    assert.deepEqual(await ownRights(WATCHED), known(linesOf(RELAY_PERMISSIONS)));
    assert.deepEqual(await ownRights(OPERATOR_NAMESPACE), known(linesOf(OWN_PERMISSIONS)));
    assert.deepEqual(await ownRights(OTHER), []);
    assert.deepEqual(await ownRights(''), []);
    const account = `system:serviceaccount:${OPERATOR_NAMESPACE}:mailrelay`;
    assert.equal(kubectl(['auth', 'can-i', 'list', 'mailrelays', '-n', WATCHED, '--as', account]), 'yes');
  });
});
