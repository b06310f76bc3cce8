/** Destinations of dane.story.ts whose mail host, or the name of its TLSA records, is an alias. */
import { ADDRESSES, type Case, type makeTlsa, type Outcome, SIGNED, TARGETS } from './danezones.ts';

export function makeAliases(tlsa: ReturnType<typeof makeTlsa>): Case[] {
  const alias = (
    label: string,
    what: string,
    expected: Outcome,
    target: string,
    records: Case['records'],
  ): Case => ({
    domain: `${label}.${SIGNED}`,
    what,
    expected,
    records: {
      ...records,
      [SIGNED]: [
        `${label}.${SIGNED}. MX 10 mx.${label}.${SIGNED}.`,
        `mx.${label}.${SIGNED}. CNAME ${target}.`,
        ...(records[SIGNED] ?? []),
      ],
    },
  });
  const right = tlsa(3, 1, 1);
  const wrong = tlsa(3, 1, 1, 'other');
  const inside = (label: string) => `target-${label}.${SIGNED}`;
  const outside = (label: string) => `target-${label}.unsigned.example`;
  const at = (name: string, data: string) => `_25._tcp.${name}. TLSA ${data}`;
  const host = (name: string) => `${name}. A ${ADDRESSES.right}`;
  return [
    alias('c-target', 'an alias, TLSA at the name that it leads to', 'verified', inside('c-target'), {
      [SIGNED]: [host(inside('c-target')), at(inside('c-target'), right)],
    }),
    alias('c-own', 'an alias, TLSA at its own name', 'verified', inside('c-own'), {
      [SIGNED]: [host(inside('c-own')), at(`mx.c-own.${SIGNED}`, right)],
    }),
    alias(
      'c-both',
      'an alias, a wrong TLSA at the name that it leads to, a right one at its own',
      'waits',
      inside('c-both'),
      {
        [SIGNED]: [host(inside('c-both')), at(inside('c-both'), wrong), at(`mx.c-both.${SIGNED}`, right)],
      },
    ),
    alias(
      'c-out',
      'an alias into an unsigned zone, TLSA at its own signed name',
      'verified',
      outside('c-out'),
      {
        [SIGNED]: [at(`mx.c-out.${SIGNED}`, right)],
        'unsigned.example': [host(outside('c-out'))],
      },
    ),
    alias(
      'c-outwrong',
      'an alias into an unsigned zone, a wrong TLSA at its own signed name',
      'waits',
      outside('c-outwrong'),
      {
        [SIGNED]: [at(`mx.c-outwrong.${SIGNED}`, wrong)],
        'unsigned.example': [host(outside('c-outwrong'))],
      },
    ),
    alias(
      'c-outonly',
      'an alias into an unsigned zone, a wrong TLSA there',
      'encrypted',
      outside('c-outonly'),
      {
        'unsigned.example': [host(outside('c-outonly')), at(outside('c-outonly'), wrong)],
      },
    ),
    alias('c-bogus', 'an alias into a bogus zone', 'waits', 'target.bogus.example', {
      'bogus.example': [host('target.bogus.example')],
    }),
    alias(
      'c-chain',
      'an alias of an alias into an unsigned zone, TLSA at its own signed name',
      'verified',
      inside('c-chain'),
      {
        [SIGNED]: [`${inside('c-chain')}. CNAME ${outside('c-chain')}.`, at(`mx.c-chain.${SIGNED}`, right)],
        'unsigned.example': [host(outside('c-chain'))],
      },
    ),
    ...makeDomainAliases(tlsa),
    {
      domain: `t-alias.${SIGNED}`,
      what: 'TLSA records that are an alias of signed ones',
      expected: 'verified',
      records: {
        [SIGNED]: [
          `t-alias.${SIGNED}. MX 10 mx.t-alias.${SIGNED}.`,
          host(`mx.t-alias.${SIGNED}`),
          `_25._tcp.mx.t-alias.${SIGNED}. CNAME shared-tlsa.${SIGNED}.`,
          `shared-tlsa.${SIGNED}. TLSA ${right}`,
        ],
      },
    },
    {
      domain: `t-out.${SIGNED}`,
      what: 'TLSA records that are an alias into an unsigned zone',
      expected: 'encrypted',
      records: {
        [SIGNED]: [
          `t-out.${SIGNED}. MX 10 mx.t-out.${SIGNED}.`,
          host(`mx.t-out.${SIGNED}`),
          `_25._tcp.mx.t-out.${SIGNED}. CNAME tlsa-out.unsigned.example.`,
        ],
        'unsigned.example': [`tlsa-out.unsigned.example. TLSA ${wrong}`],
      },
    },
    {
      domain: `t-wild.${SIGNED}`,
      what: 'TLSA records by a wildcard, of another key',
      expected: 'waits',
      records: {
        [SIGNED]: [
          `t-wild.${SIGNED}. MX 10 mx.t-wild.${SIGNED}.`,
          host(`mx.t-wild.${SIGNED}`),
          `*._tcp.mx.t-wild.${SIGNED}. TLSA ${wrong}`,
        ],
      },
    },
    {
      domain: `t-bogus.${SIGNED}`,
      what: 'TLSA records that are an alias into a bogus zone',
      expected: 'waits',
      records: {
        [SIGNED]: [
          `t-bogus.${SIGNED}. MX 10 mx.t-bogus.${SIGNED}.`,
          host(`mx.t-bogus.${SIGNED}`),
          `_25._tcp.mx.t-bogus.${SIGNED}. CNAME tlsa.bogus.example.`,
        ],
        'bogus.example': [`tlsa.bogus.example. TLSA ${right}`],
      },
    },
  ];
}

/** The domain itself is an alias, and the certificate names what it leads to. */
function makeDomainAliases(tlsa: ReturnType<typeof makeTlsa>): Case[] {
  const to = (target: string) => [
    `${target}. MX 10 mx.${target}.`,
    `mx.${target}. A ${ADDRESSES.target}`,
    `_25._tcp.mx.${target}. TLSA ${tlsa(2, 0, 1, 'authority')}`,
  ];
  const [first, second, third] = TARGETS;
  return [
    {
      domain: `d-alias.${SIGNED}`,
      what: 'a domain that is an alias, TLSA 2 0 1, a certificate of the name that it leads to',
      expected: 'verified',
      records: { [SIGNED]: [`d-alias.${SIGNED}. CNAME ${first}.`, ...to(first)] },
    },
    {
      domain: `sub.d-name.${SIGNED}`,
      what: 'the same by a DNAME and a CNAME',
      expected: 'verified',
      records: {
        [SIGNED]: [
          `d-name.${SIGNED}. DNAME d-end.${SIGNED}.`,
          `sub.d-end.${SIGNED}. CNAME ${second}.`,
          ...to(second),
        ],
      },
    },
    {
      domain: 'd-out.unsigned.example',
      what: 'the same, and the alias is not signed',
      expected: 'encrypted',
      records: { [SIGNED]: to(third), 'unsigned.example': [`d-out.unsigned.example. CNAME ${third}.`] },
    },
  ];
}
