/** The destinations of dane.story.ts: what each one publishes, and what becomes of its mail. */
import { makeAliases } from './danealiases.ts';
import { ADDRESSES, type Case, type HopName, type makeTlsa, type Outcome, SIGNED } from './danezones.ts';

export function makeCases(tlsa: ReturnType<typeof makeTlsa>): Case[] {
  const cases: Case[] = [];
  const add = (
    label: string,
    what: string,
    expected: Outcome,
    hop: HopName,
    records: readonly string[],
    more: { zone?: string; floor?: true; hostZone?: string; others?: Case['records'] } = {},
  ) => {
    const { zone = SIGNED, floor, hostZone = zone, others = {} } = more;
    const domain = `${label}.${zone}`;
    const host = `mx.${label}.${hostZone}`;
    const own = [`${domain}. MX 10 ${host}.`];
    const ofHost = [
      `${host}. A ${ADDRESSES[hop]}`,
      ...records.map((data) => `_25._tcp.${host}. TLSA ${data}`),
    ];
    const all: Record<string, readonly string[]> = {};
    for (const [where, lines] of [[zone, own], [hostZone, ofHost], ...Object.entries(others)] as [
      string,
      string[],
    ][])
      all[where] = [...(all[where] ?? []), ...lines];
    cases.push({ domain, what, expected, records: all, ...(floor ? { floor } : {}) });
  };

  for (const [usage, whose] of [
    [3, 'right'],
    [2, 'authority'],
  ] as const)
    for (const selector of [0, 1])
      for (const matching of [0, 1, 2]) {
        const label = `u${usage}${selector}${matching}`;
        add(label, `TLSA ${usage} ${selector} ${matching} that matches`, 'verified', 'right', [
          tlsa(usage, selector, matching, whose),
        ]);
      }
  add('wrong', 'TLSA 3 1 1 of another key', 'waits', 'right', [tlsa(3, 1, 1, 'other')]);
  add('rollover', 'TLSA 3 1 1 of the old and of the new key', 'verified', 'right', [
    tlsa(3, 1, 1, 'other'),
    tlsa(3, 1, 1),
  ]);
  add('selfsigned', 'TLSA 3 1 1, a self-signed certificate of another name', 'verified', 'other', [
    tlsa(3, 1, 1, 'other'),
  ]);
  add('expired-ee', 'TLSA 3 1 1, a certificate that has expired', 'verified', 'expired', [
    tlsa(3, 1, 1, 'expired'),
  ]);
  add('expired-ta', 'TLSA 2 0 1, a certificate that has expired', 'waits', 'expired', [
    tlsa(2, 0, 1, 'authority'),
  ]);
  add('misnamed-ee', 'TLSA 3 1 1, a certificate of another name', 'verified', 'misnamed', [
    tlsa(3, 1, 1, 'misnamed'),
  ]);
  add('misnamed-ta', 'TLSA 2 0 1, a certificate of another name', 'waits', 'misnamed', [
    tlsa(2, 0, 1, 'authority'),
  ]);
  add('domain', 'TLSA 2 0 1, a certificate of the domain alone', 'verified', 'target', [
    tlsa(2, 0, 1, 'authority'),
  ]);
  for (const [hop, what, expected] of [
    ['lower', 'an issuer below the anchor', 'verified'],
    ['tooLow', 'an issuer below another one of pathlen:0', 'waits'],
    ['excluded', 'an issuer for other names only (nameConstraints)', 'waits'],
    ['clients', 'a certificate for clients only (extendedKeyUsage)', 'waits'],
  ] as const)
    add(hop.toLowerCase(), `TLSA 2 0 1, ${what}`, expected, hop, [tlsa(2, 0, 1, 'root')]);
  for (const [matching, selector, expected] of [
    [0, 0, 'verified'],
    [0, 1, 'verified'],
    [1, 0, 'waits'],
  ] as const) {
    const what = `TLSA 2 ${selector} ${matching}, an anchor that the host does not send`;
    add(`bare${selector}${matching}`, what, expected, 'bare', [tlsa(2, selector, matching, 'authority')]);
  }
  add('mixed', 'TLSA 3 1 1 of another key beside 2 0 1 that matches', 'verified', 'right', [
    tlsa(3, 1, 1, 'other'),
    tlsa(2, 0, 1, 'authority'),
  ]);
  add('mixed-pkix', 'TLSA 3 1 1 of another key beside 1 1 1 that matches', 'waits', 'right', [
    tlsa(3, 1, 1, 'other'),
    tlsa(1, 1, 1),
  ]);
  add('mixed-bad', 'TLSA 3 1 1 that matches beside one that is broken', 'verified', 'right', [
    '3 1 1 abcdef',
    tlsa(3, 1, 1),
  ]);
  add('agile', 'TLSA 3 1 2 of another key beside 3 1 1 that matches', 'waits', 'right', [
    tlsa(3, 1, 2, 'other'),
    tlsa(3, 1, 1),
  ]);
  add('nostarttls', 'TLSA 3 1 1, no STARTTLS', 'waits', 'plain', [tlsa(3, 1, 1)]);
  add('strips', 'TLSA 3 1 1, STARTTLS is refused', 'waits', 'strips', [tlsa(3, 1, 1)]);
  add('pkix', 'TLSA 1 1 1 only', 'encrypted', 'right', [tlsa(1, 1, 1)]);
  add('pkix-plain', 'TLSA 1 1 1 only, no STARTTLS', 'waits', 'plain', [tlsa(1, 1, 1)]);
  add('malformed', 'TLSA 3 1 1 with a digest that is too short', 'encrypted', 'right', ['3 1 1 abcdef']);
  add('none', 'no TLSA, proven', 'encrypted', 'right', []);
  add('none-plain', 'no TLSA, proven, no STARTTLS', 'plain', 'plain', []);
  add('none-strips', 'no TLSA, proven, STARTTLS is refused', 'plain', 'strips', []);
  add(
    'all',
    'unsigned: MX, address and TLSA of another key',
    'encrypted',
    'right',
    [tlsa(3, 1, 1, 'other')],
    { zone: 'unsigned.example' },
  );
  add('mx', 'unsigned MX, signed host, TLSA 3 1 1 that matches', 'encrypted', 'right', [tlsa(3, 1, 1)], {
    zone: 'unsigned.example',
    hostZone: SIGNED,
  });
  add(
    'mx-wrong',
    'unsigned MX, signed host, TLSA 3 1 1 of another key',
    'waits',
    'right',
    [tlsa(3, 1, 1, 'other')],
    { zone: 'unsigned.example', hostZone: SIGNED },
  );
  add(
    'host',
    'signed MX, unsigned host with TLSA of another key',
    'encrypted',
    'right',
    [tlsa(3, 1, 1, 'other')],
    { hostZone: 'unsigned.example' },
  );
  add('mx', 'bogus MX', 'waits', 'right', [tlsa(3, 1, 1)], { zone: 'bogus.example' });
  add('host-bogus', 'signed MX, bogus address', 'waits', 'right', [tlsa(3, 1, 1)], {
    hostZone: 'bogus.example',
  });
  add('mx', 'expired signatures', 'waits', 'right', [tlsa(3, 1, 1)], { zone: 'expired.example' });
  add('host-expired', 'signed MX, expired signature of the address', 'waits', 'right', [tlsa(3, 1, 1)], {
    hostZone: 'expired.example',
  });
  cases.push(
    { domain: 'mx.lame.example', what: 'SERVFAIL', expected: 'waits', records: {} },
    {
      domain: `missing.${SIGNED}`,
      what: 'a domain that does not exist, proven',
      expected: 'returned',
      records: {},
    },
    {
      domain: `text.${SIGNED}`,
      what: 'neither MX nor address, proven',
      expected: 'returned',
      records: { [SIGNED]: [`text.${SIGNED}. TXT "x"`] },
    },
    {
      domain: `null.${SIGNED}`,
      what: 'a null MX',
      expected: 'returned',
      records: { [SIGNED]: [`null.${SIGNED}. MX 0 .`] },
    },
    {
      domain: `implicit.${SIGNED}`,
      what: 'no MX, TLSA 3 1 1 at the domain itself',
      expected: 'verified',
      records: {
        [SIGNED]: [
          `implicit.${SIGNED}. A ${ADDRESSES.right}`,
          `_25._tcp.implicit.${SIGNED}. TLSA ${tlsa(3, 1, 1)}`,
        ],
      },
    },
    {
      domain: `second.${SIGNED}`,
      what: 'two MX hosts: the first one with a wrong TLSA, the second one with a right one',
      expected: 'verified',
      records: {
        [SIGNED]: [
          `second.${SIGNED}. MX 10 mx.wrong.${SIGNED}.`,
          `second.${SIGNED}. MX 20 mx.second.${SIGNED}.`,
          `mx.second.${SIGNED}. A ${ADDRESSES.right}`,
          `_25._tcp.mx.second.${SIGNED}. TLSA ${tlsa(3, 1, 1)}`,
        ],
      },
    },
    {
      domain: `broken.${SIGNED}`,
      what: 'two MX hosts: the first one in a bogus zone, the second one with a right TLSA',
      expected: 'verified',
      records: {
        [SIGNED]: [
          `broken.${SIGNED}. MX 10 mx.broken.bogus.example.`,
          `broken.${SIGNED}. MX 20 mx.broken.${SIGNED}.`,
          `mx.broken.${SIGNED}. A ${ADDRESSES.right}`,
          `_25._tcp.mx.broken.${SIGNED}. TLSA ${tlsa(3, 1, 1)}`,
        ],
        'bogus.example': [`mx.broken.bogus.example. A ${ADDRESSES.plain}`],
      },
    },
    ...makeAliases(tlsa),
  );
  add('f-right', 'level Dane, TLSA 3 1 1 that matches', 'verified', 'right', [tlsa(3, 1, 1)], {
    floor: true,
  });
  add('f-none', 'level Dane, no TLSA', 'waits', 'right', [], { floor: true });
  add('f-pkix', 'level Dane, TLSA 1 1 1 only', 'waits', 'right', [tlsa(1, 1, 1)], { floor: true });
  add('f-all', 'level Dane, unsigned', 'waits', 'right', [tlsa(3, 1, 1)], {
    floor: true,
    zone: 'unsigned.example',
  });
  add('f-host', 'level Dane, signed MX, unsigned host', 'waits', 'right', [tlsa(3, 1, 1)], {
    floor: true,
    hostZone: 'unsigned.example',
  });
  return cases;
}
