/**
 * Who is asked about the names of mail hosts: DNS servers by their addresses, or a validating resolver that the operator
 * puts beside the relay. Shapes and bounds. Part of the single source, see mailrelay.ts. The rules are in resolverrules.ts.
 */
import { z } from 'zod';
import { image, serverAddress } from './shapes.ts';
import { amounts } from './workload.ts';

/** The default resource requests of the sidecar. */
export const SIDECAR_REQUESTS = { cpu: '50m', memory: '64Mi' } as const;

const sidecar = z
  .object({
    image: image().describe(
      'Image with Unbound: the programs unbound, unbound-control and sh on its PATH, and the trust anchor of the root where distributions put it, see docs/delivering.md.',
    ),
    resources: z
      .object({
        requests: amounts(
          `Cores that are set aside. Default: ${SIDECAR_REQUESTS.cpu}.`,
          `Memory that is set aside. Default: ${SIDECAR_REQUESTS.memory}.`,
        )
          .optional()
          .describe('Resources that the scheduler reserves for the sidecar.'),
        limits: amounts(
          'Most cores; it uses no more than one. Default: unlimited.',
          'Most memory; the caches are made to fit. Default: unlimited, with caches as for 128Mi.',
        )
          .optional()
          .describe('Most that the sidecar may use; not below its requests.'),
      })
      .optional()
      .describe('CPU and memory of the sidecar.'),
  })
  .describe(
    'A validating resolver (Unbound) in each pod, which the relay asks and trusts, so that DANE works. It starts before the relay and ends after it. A change replaces the pods one at a time.',
  );

export const resolver = z
  .object({
    addresses: z
      .array(serverAddress())
      .min(1)
      .max(3)
      .optional()
      .describe(
        'DNS servers that are asked, in this order: an IP address, with a port where it is not 53, such as 127.0.0.1:5353 or [::1]:5353.',
      ),
    trustAD: z
      .boolean()
      .optional()
      .describe(
        'Believe these servers when they say that DNSSEC proves an answer (the AD flag). They must validate, and every address must be a loopback one, because every host on the way could forge the flag. DANE needs it. Default: false.',
      ),
    sidecar: sidecar.optional(),
  })
  .describe(
    'DNS servers for MX records, the addresses of MX hosts, and TLSA records: addresses or sidecar. Names of the cluster are looked up by the system. Default: the servers of the system, which prove nothing.',
  );

export type Sidecar = z.infer<typeof sidecar>;
