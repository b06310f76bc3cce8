import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InboundSession, OpenSessions } from '#crds/sessions.ts';
import { describeSessions } from './sessionstext.ts';

const NOW = Date.UTC(2026, 0, 2);
const CLIENT: InboundSession = {
  id: 'abc',
  listener: 'smtp',
  client: '192.0.2.7',
  helo: 'app\u001b[2J.example',
  since: '2026-01-01T23:59:00.000Z',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  login: null,
  certificate: 'app.example',
  state: 'MAIL',
  quietSeconds: 3,
  messages: 2,
};
const NONE: OpenSessions = {
  inbound: [],
  moreInbound: 0,
  outbound: [],
  moreOutbound: 0,
  silentProcesses: 0,
};

test('a client is one line, whatever it has said, and the rest is counted', () => {
  const text = describeSessions({ ...NONE, inbound: [CLIENT], moreInbound: 5 }, true, NOW);
  const [head, line, more] = text.split('\n');
  assert.match(head ?? '', /^LISTENER +CLIENT +SINCE +TLS +LOGIN +STATE +QUIET +MESSAGES +ID +HELO/);
  assert.match(
    line ?? '',
    /^smtp +192\.0\.2\.7 +60s +TLSv1\.3 +app\.example +MAIL +3s +2 +abc +app\?\[2J\.example/,
  );
  assert.equal(more, '... and 5 more, which began later');
});

test('what is missing is told', () => {
  const text = describeSessions({ ...NONE, silentProcesses: 2 }, false, NOW);
  assert.equal(
    text,
    'No client is connected.\n\nNo next hop is connected.\n\n' +
      'Processes of the relay that did not answer: 2. Their sessions are missing here.\n',
  );
});
