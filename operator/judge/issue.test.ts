/** What is told of a CertificateRequest that nobody signs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { judge } from './chain.ts';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

const APPROVED = { type: 'Approved', status: 'True', reason: 'cert-manager.io' };
const CASES: readonly (readonly [
  what: string,
  conditions: readonly Condition[],
  says: RegExp,
  isStalled: boolean,
])[] = [
  [
    'that an approver has denied, and of which the issuer says nothing',
    [{ type: 'Denied', status: 'True', reason: 'policy', message: 'no policy allows b.example' }],
    /CertificateRequest relay-1 was denied: no policy allows b\.example: let the approver of cert-manager allow it/,
    true,
  ],
  [
    'that an approver has denied, and the issuer says less',
    [
      { type: 'Denied', status: 'True', reason: 'policy', message: 'no policy allows b.example' },
      { type: 'Ready', status: 'False', reason: 'Denied', message: 'The CertificateRequest was denied' },
    ],
    /no policy allows b\.example/,
    true,
  ],
  [
    'that the issuer cannot read',
    [
      APPROVED,
      { type: 'InvalidRequest', status: 'True', reason: 'X', message: 'the subject is not allowed' },
      { type: 'Ready', status: 'False', reason: 'Pending', message: 'waits' },
    ],
    /CertificateRequest relay-1 is invalid: the subject is not allowed: mend what it names, or StepIssuer ca$/,
    true,
  ],
  [
    'that nobody has approved',
    [],
    /nobody has approved CertificateRequest relay-1: let the approver of cert-manager run/,
    false,
  ],
  [
    'that no issuer has seen',
    [APPROVED],
    /no controller has looked at CertificateRequest relay-1, which is approved: see whether the controller of StepIssuer ca runs$/,
    false,
  ],
  [
    'that is under way',
    [APPROVED, { type: 'Ready', status: 'False', reason: 'Pending', message: 'it waits for the order' }],
    /: it waits for the order$/,
    false,
  ],
  [
    'that was signed',
    [APPROVED, { type: 'Ready', status: 'True', reason: 'Issued', message: 'signed' }],
    /: the Secret does not exist$/,
    false,
  ],
];

for (const [what, conditions, says, isStalled] of CASES) {
  test(`a request ${what}`, () => {
    const issuerRef = { name: 'ca', kind: 'StepIssuer', group: 'certmanager.step.sm' };
    const relay = relayObject({ tls: { issuerRef } });
    const objects = liveObjects(relay);
    const certificate = objects.get('Certificate/relay') as KubeObject;
    const message = 'the Secret does not exist';
    objects.set('Certificate/relay', {
      ...certificate,
      status: {
        conditions: [
          { type: 'Ready', status: 'False', message },
          { type: 'Issuing', status: 'True', message },
        ],
      },
    });
    objects.set('CertificateRequest/relay-1', {
      kind: 'CertificateRequest',
      metadata: {
        name: 'relay-1',
        annotations: {
          'cert-manager.io/certificate-name': 'relay',
          'cert-manager.io/certificate-revision': '1',
        },
      },
      status: { conditions },
    });
    const missing = {
      certificate: null,
      certificateProblem: { reason: 'CertificateMissing', message: 'none' },
    };
    const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(relay, missing)));
    const { CertificateReady, Stalled } = judge({ ...settledWorld({ relay, objects, pods }), obstacles: [] });
    assert.equal(CertificateReady?.reason, 'CertificateNotIssued');
    assert.match(CertificateReady?.message ?? '', says);
    assert.equal(Stalled?.reason, isStalled ? 'CertificateNotIssued' : undefined);
  });
}
