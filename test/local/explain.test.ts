/** `mailrelay explain`: which rule decides for an address, which policy a client has, and what a word means. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { mailrelay } from '#test/kit/relay.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;

describe('mailrelay explain', { concurrency: false }, () => {
  test('explain names the rule that decides for an address', async () => {
    const explain = (...args: string[]) => mailrelay(['explain', ...args, '-f', join(EXAMPLES, 'full.yaml')]);
    const own = await explain('a@example.com');
    assert.match(own.stdout, /^taken on +smtp: anyone \(inbound\.acceptDomains\)$/m);
    assert.match(
      own.stdout,
      /^goes by +outbound\.routes\[1\]\n +mailstore\.mail\.svc:2525; Opportunistic: /m,
    );
    const other = JSON.parse((await explain('a@other.example', '-o', 'json')).stdout) as {
      rule: string;
      hosts: { tlsLevel: string }[];
    };
    assert.deepEqual([other.rule, other.hosts[0]?.tlsLevel], ['outbound.smartHosts', 'Verify']);
  });

  test('explain names what may raise the level, where it is looked up', async () => {
    const { stdout } = await mailrelay(['explain', 'a@partner.example', '-f', join(EXAMPLES, 'dane.yaml')]);
    assert.match(stdout, /MX hosts of partner\.example: Dane: a TLSA record that matches/);
    assert.match(
      stdout,
      /^raised by +DANE: signed TLSA records of the host, looked up at 127\.0\.0\.1 port 10053/m,
    );
  });

  test('explain names the policy that a client has on each listener', async () => {
    const explain = (client: string) =>
      mailrelay(['explain', client, '-f', join(EXAMPLES, 'submission.yaml')]).then(({ stdout }) => stdout);
    assert.equal(
      await explain('10.20.30.40'),
      `10.20.30.40
submission    STARTTLS Required, TLSv1.2 or later, by the listener; may not relay by its network
submissions   TLS from the first byte, TLSv1.2 or later, by the listener; may not relay by its network
printers      STARTTLS Disabled, TLSv1.2 or later, by inbound.clientPolicies[0]; may relay by its network
`,
    );
    assert.match(
      await explain('10.20.30.7'),
      /^printers +STARTTLS Enabled, TLSv1 or later, by inbound\.clientPolicies\[1\]/m,
    );
  });

  test('explain refuses what is no address, before it looks for a manifest', async () => {
    for (const [what, ...words] of [
      ['joe@', 'no mail address'],
      ['@example.com', 'no mail address'],
      ['joe@exa mple.com', 'no mail address'],
      ['joe@example..com', 'no mail address'],
      ['a%b@example.com', 'without %'],
      ['..', 'no mail address'],
    ] as const) {
      const { status: ended, stdout, stderr } = await mailrelay(['explain', what, '-f', 'nothing.yaml']);
      assert.deepEqual([ended, stdout], [2, ''], stderr);
      for (const word of words) assert.ok(stderr.includes(word), stderr);
    }
    const full = join(EXAMPLES, 'full.yaml');
    assert.equal((await mailrelay(['explain', 'a@example.com', '--from', 'joe@', '-f', full])).status, 2);
    const canonical = await mailrelay(['explain', 'Joe@EXAMPLE.com.', '--from', '<>', '-f', full]);
    assert.match(canonical.stdout, /^Joe@example\.com, from <>$/m);
  });

  test('explain knows the words of the conditions, the events, the log and the refusals', async () => {
    for (const [word, line] of [
      ['CertificateReady', /^CertificateReady \(condition\)\n +means: True when/],
      ['PolicyChanged', /^PolicyChanged \(event of the MailRelay\)\n +means: A wanted policy/],
      ['certificateloaded', /^CertificateLoaded \(event of the MailRelay\)/],
      [
        'OtherInstallation',
        /^OtherInstallation \(Stalled: (.*\n)+OtherInstallation \(event of the MailRelay\)/,
      ],
      [
        'spool_recovered',
        /^spool_recovered \(event of the log, level warn\)\n +means: .*\n +cause: .*\n +cure: /,
      ],
      ['lease_lost', /^lease_lost \(event of the log of the operator\)\n +means: /],
      ['relaying_denied', /^relaying_denied \(refusal of a client\)\n +cure: /],
      [
        '5.7.139',
        /^5\.7\.139 \(refusal of our login\)\n +where: the answer says "disabled for the tenant"\n +cure: /,
      ],
      ['AADSTS7000215', /^AADSTS7000215 \(refusal of our login\)\n +cure: /],
      ['starttls-missing', /^starttls-missing \(cause of a failed delivery\)\n +cure: /],
    ] as const) {
      const { status: ended, stdout } = await mailrelay(['explain', word]);
      assert.equal(ended, 0, word);
      assert.match(stdout, line);
    }
    const near = await mailrelay(['explain', 'CertificateMising']);
    assert.equal(near.status, 2);
    assert.match(near.stderr, /did you mean CertificateMissing\?/);
  });

  test('explain tells cause and cure of a condition reason', async () => {
    const { status: ended, stdout } = await mailrelay(['explain', 'keymismatch']);
    assert.equal(ended, 0);
    assert.match(stdout, /^KeyMismatch \(CertificateReady: .*\n +cause: .*\n +cure: +Write both/);
  });
});
