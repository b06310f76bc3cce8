/** The part of the policy that is made from `spec.addresses` and `spec.headers`: see effective.ts. Pure. */

import { type AddressMap, SENDER_PARTS } from './addresspolicy.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import type { Policy } from './policyfile.ts';

interface MapSpec {
  readonly entries?:
    | readonly {
        readonly address: string;
        readonly to?: string | readonly string[] | undefined;
        readonly refuse?: string | undefined;
      }[]
    | undefined;
  readonly tables?:
    | readonly {
        readonly configMapName?: string | undefined;
        readonly secretName?: string | undefined;
        readonly key: string;
      }[]
    | undefined;
}

export function effectiveAddresses(addresses: MailRelaySpec['addresses']): Policy['addresses'] {
  const { sender, recipient, bcc, sendAllTo, srs } = addresses ?? {};
  return {
    sender: {
      map: effectiveMap(sender),
      parts: sender?.parts ?? [...SENDER_PARTS],
      mail: sender?.mail ?? 'Submitted',
    },
    recipient: {
      map: effectiveMap(recipient),
      parts: recipient?.parts ?? ['Envelope'],
      headersOf: recipient?.headersOf ?? 'Submitted',
    },
    sendAllTo: sendAllTo ?? null,
    srs: srs ? { domain: srs.domain, secret: srs.secretName } : null,
    senderBcc: effectiveMap(bcc?.sender),
    recipientBcc: effectiveMap(bcc?.recipient),
  };
}

function effectiveMap(map: MapSpec | undefined): AddressMap {
  return {
    entries: (map?.entries ?? []).map(({ address, to = [], refuse = null }) => ({
      address,
      to: [to].flat(),
      refuse,
    })),
    tables: (map?.tables ?? []).map(({ configMapName, secretName = '', key }) =>
      configMapName === undefined
        ? { kind: 'Secret', name: secretName, key }
        : { kind: 'ConfigMap', name: configMapName, key },
    ),
  };
}

export function effectiveHeaders(headers: MailRelaySpec['headers']): Policy['headers'] {
  return {
    remove: headers?.remove ?? [],
    received: headers?.received ?? 'Full',
    add: headers?.add ?? [],
  };
}
