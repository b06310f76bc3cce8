/** The live view of `mailrelay run`, at a usual, a large and a small terminal. */
import { test } from 'node:test';
import { renderView, type ViewFacts } from '#cli/viewtext.ts';
import { effectivePolicy } from '#crds/effective.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { assertGolden } from './golden.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');

function viewFacts(): ViewFacts {
  const relay = relayObject();
  const report = podReport(relay);
  return {
    policy: effectivePolicy(relay.metadata, relay.spec),
    caFile: '/home/me/.state/mail-relay/local-ca/ca.crt',
    address: '127.0.0.1',
    adminPort: 9090,
    command: '/home/me/mailrelay-operator/bin/mailrelay',
    notStarted: ['outbound.resolver.sidecar runs in pods only'],
    sink: { port: 2525, folder: '/home/me/.state/mail-relay/sink' },
    logFile: '/home/me/.state/mail-relay/relay.log',
    status: {
      ...report,
      policy: { hash: '0123456789abcdef', refused: null },
      missing: ['Secret "users": no client can log in'],
      certificateProblem: { reason: 'Expiring', message: 'it ends in 2 days' },
      sessions: { ...report.sessions, open: 2, tlsSessions: 97, plaintextSessions: 3 },
      queue: {
        ...report.queue,
        depth: 3,
        oldestSeconds: 4000,
        deferrals: [{ destination: 'partner.example', message: 'it does not offer STARTTLS' }],
      },
    },
    deliveries: Array.from({ length: 12 }, (_, index) => ({
      time: `2026-01-01T11:59:${String(50 - index)}.000Z`,
      event: index % 2 === 0 ? 'delivered' : 'deferred',
      to: '@example.com',
      hop: '127.0.0.1:2525',
      tls: index % 4 === 0 ? 'none' : 'TLSv1.3',
      seconds: 0.25,
      reason: index % 2 === 0 ? '' : '451 4.7.1 Later, please',
    })),
    taken: [2, 1].map((number) => ({
      number,
      time: `2026-01-01T11:59:0${number}.000Z`,
      client: '127.0.0.1',
      helo: 'relay.example.com',
      user: null,
      from: number === 1 ? '' : 'me@relay.example.com',
      to: ['postmaster@example.com', 'joe@example.com'],
      subject: 'A message through the relay',
      bytes: 612,
      tls:
        number === 1
          ? null
          : {
              version: 'TLSv1.3',
              cipher: 'TLS_AES_256_GCM_SHA384',
              serverName: null,
              clientCertificate: null,
            },
      file: `/home/me/.state/mail-relay/sink/00000${number}.eml`,
    })),
    notices: [{ time: '2026-01-01T11:58:00.000Z', text: 'Manifest applied: 0123456789abcdef' }],
  };
}

test('the live view of mailrelay run', () => {
  const sizes = [
    { columns: 80, rows: 24 },
    { columns: 120, rows: 45 },
    { columns: 40, rows: 10 },
  ];
  const views = sizes.map((size) => {
    const lines = renderView(viewFacts(), NOW, size);
    const texts = lines.map(({ text, tone }) => `${tone.padEnd(5)} |${text}`);
    return `${size.columns} columns, ${size.rows} rows\n${texts.join('\n')}\n`;
  });
  assertGolden('view.txt', views.join('\n'));
});
