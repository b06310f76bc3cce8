/**
 * Peers that may connect, with the terms and names of a NetworkPolicy: shapes and bounds of peers and label selectors.
 * Part of the single source, see mailrelay.ts.
 */
import { z } from 'zod';
import { cidr, labelKey, labelValue, map } from './shapes.ts';

const selector = (meaning: string) =>
  z
    .object({
      matchLabels: map(labelValue()).optional().describe('Labels that must be there, with these values.'),
      matchExpressions: z
        .array(
          z.object({
            key: labelKey().describe('Key of the label.'),
            operator: z
              .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
              .describe('In and NotIn compare with values; Exists and DoesNotExist have none.'),
            values: z
              .array(labelValue())
              .min(1)
              .max(32)
              .optional()
              .describe('Values to compare with, for In and NotIn.'),
          }),
        )
        .min(1)
        .max(8)
        .optional()
        .describe('Further demands on labels; all must hold.'),
    })
    .optional()
    .describe(meaning);

const peer = z.object({
  podSelector: selector(
    'Pods with these labels: in the namespaces of namespaceSelector, or without it in the namespace of the MailRelay.',
  ),
  namespaceSelector: selector(
    'Namespaces with these labels, such as kubernetes.io/metadata.name: all their pods, or those of podSelector. {}: all namespaces.',
  ),
  ipBlock: z
    .object({ cidr: cidr().describe('The network, such as 203.0.113.0/24.') })
    .optional()
    .describe('A network outside the cluster. Not together with selectors.'),
});

export const peers = () => z.array(peer).min(1).max(16);

export type Peer = z.infer<typeof peer>;
