/**
 * The field spec.inbound.authenticationResults of a MailRelay: whether the relay says of mail of others if its sender is
 * proven. Part of the single source, see mailrelay.ts.
 */
import { z } from 'zod';
import { host } from './shapes.ts';

export const authenticationResults = () =>
  z
    .object({
      authservID: host()
        .optional()
        .describe(
          'The name under which the results stand (authserv-id). Fields of this name that a message brings are removed. Default: hostname.',
        ),
      arcSealDomain: host()
        .optional()
        .describe(
          'Domain of outbound.dkim whose first key seals what was verified (ARC, RFC 8617), so that the next host can believe it although SPF and signatures break on the way. Default: mail is not sealed.',
        ),
    })
    .describe(
      'Verifies SPF, DKIM, ARC and DMARC of mail of clients that may not relay, and says the results in an Authentication-Results field (RFC 8601). Nothing is refused by them. Not with queue.mode CutThrough. See docs/filtering.md.',
    );
