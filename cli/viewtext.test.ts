/** The live view fits every terminal, and its command is whole wherever it is folded. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import fc from '#test/kit/property.ts';
import { quoteWord } from './terminal.ts';
import { foldCommand, renderView, type ViewFacts } from './viewtext.ts';

const relay = relayObject();
const facts: ViewFacts = {
  policy: effectivePolicy(relay.metadata, relay.spec),
  caFile: undefined,
  address: '::1',
  adminPort: 9090,
  command: 'mailrelay',
  notStarted: [],
  sink: undefined,
  logFile: '/tmp/relay.log',
  status: podReport(relay),
  deliveries: [],
  taken: [],
  notices: [],
};
const size = fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) });
const text = fc.string({ unit: 'binary', maxLength: 300 });

test('the view is never larger than the terminal, and nothing in it can move the cursor', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 20 }), size, (texts, of) => {
      const lines = renderView(
        {
          ...facts,
          notStarted: texts.slice(0, 3),
          notices: texts.map((one) => ({ time: '2026-01-01T00:00:00Z', text: one })),
          deliveries: texts.map((one) => ({
            time: '',
            event: 'deferred',
            to: one,
            hop: one,
            tls: 'none',
            seconds: 0,
            reason: one,
          })),
        },
        0,
        of,
      );
      assert.ok(lines.length <= of.rows);
      for (const line of lines) {
        assert.ok([...line.text].length <= of.columns, line.text);
        assert.doesNotMatch(line.text, /\p{Cc}/u);
      }
    }),
  );
});

test('a fault of any certificate is shown', () => {
  const problem = { reason: 'Expired', message: 'it has ended' };
  for (const name of ['certificateProblem', 'internalCertificateProblem', 'policyHostCertificateProblem']) {
    const status = { ...facts.status, [name]: problem };
    const lines = renderView({ ...facts, status }, 0, { columns: 80, rows: 60 });
    assert.ok(
      lines.some((line) => line.text.endsWith('Expired: it has ended') && line.tone === 'fault'),
      name,
    );
  }
});

test('mail that no hop was asked for is shown by its destination', () => {
  const waits = { time: '2026-01-01T12:00:00Z', event: 'deferred', tls: 'none', seconds: 0 } as const;
  const deliveries = [{ ...waits, to: 'away.example', hop: '', reason: '4.4.3 no name server' }];
  const lines = renderView({ ...facts, deliveries }, 0, { columns: 120, rows: 40 });
  assert.ok(
    lines.some(({ text }) => text === 'deliveries    12:00:00  away.example: deferred, 4.4.3 no name server'),
  );
});

test('each fault of a manifest has its own lines, and none is cut', () => {
  const faults = [
    'relay.yaml:8:1: spec.hostname: is required: add it',
    'relay.yaml:9:3: spec.hstname: remove it',
  ];
  const text = `Manifest not applied, nothing changed: ${faults.join('\n')}`;
  const notices = [{ time: '2026-01-01T12:00:00Z', text }];
  const shown = (columns: number) =>
    renderView({ ...facts, notices }, 0, { columns, rows: 60 }).map((line) => line.text);
  assert.ok(shown(200).includes(`${''.padEnd(24)}${faults[1]}`));
  for (const columns of [60, 80, 200]) {
    const lines = shown(columns);
    const at = lines.findIndex((line) => line.startsWith('changes       12:00:00  Manifest not applied'));
    const words = lines.slice(at, -1).map((line) => line.slice(24));
    assert.equal(words.join(' '), text.replace('\n', ' '), lines.join('\n'));
  }
});

test('what is wrong stays on a low terminal, and the lists shrink first', () => {
  const notices = Array.from({ length: 9 }, (_, index) => ({ time: '', text: `change ${index}` }));
  const status = {
    ...facts.status,
    ready: false,
    notReady: ['the port is in use'],
    missing: ['Secret "users"'],
  };
  const show = (rows: number) =>
    renderView({ ...facts, status, notices }, 0, { columns: 120, rows }).map((line) => line.text);
  assert.match(show(5).join('\n'), /not ready: the port is in use[\s\S]*Secret "users"[\s\S]*more lines/);
  const low = show(16).join('\n');
  assert.match(low, /change 0/);
  assert.doesNotMatch(low, /change 8/);
  assert.match(low, /Ctrl-C/);
});

test('a shell reads a folded command as the words that it was made of', () => {
  const word = fc.stringMatching(/^[a-z0-9@./-]{1,60}$/);
  const quoted = fc.stringMatching(/^[a-z '"$\\]{1,12}$/);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, quoted), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 40, max: 120 }),
      (words, columns) => {
        const lines = foldCommand(words.map(quoteWord), columns);
        if (lines[0]?.startsWith('(make')) return;
        for (const line of lines) assert.ok(line.length <= columns);
        const script = `for one in ${lines.join('\n')}; do printf '%s\\0' "$one"; done`;
        const read = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
        assert.deepEqual(read.split('\0').slice(0, -1), words);
      },
    ),
    { numRuns: 60 },
  );
});

test('a long word in quotes cannot be folded, and the view says so', () => {
  assert.deepEqual(foldCommand(['mailrelay', quoteWord('a b'.repeat(30))], 40), [
    '(make the window wider to see the command)',
  ]);
});
