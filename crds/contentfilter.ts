/**
 * The field spec.inbound.filter of a MailRelay: a content filter that is asked about each message over HTTP, and what a
 * listener changes of it. Part of the single source, see mailrelay.ts.
 */
import { z } from 'zod';
import { FILTER_FAILURES } from './policyfilter.ts';
import { objectName, text, url } from './shapes.ts';

/** Plain HTTP only where no network between machines sees it, or where the network of the cluster protects it. */
const URL_PATTERN =
  '^(https://[a-zA-Z0-9_.:\\[\\]-]+|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\]|[a-z0-9-]+\\.[a-z0-9-]+\\.svc(\\.cluster\\.local)?)(:[0-9]{1,5})?)(/[^\\s?#]*)?$';
const TIMEOUT_PATTERN = '^(([1-9]|[1-9][0-9]|[12][0-9]{2}|300)s|[1-5]m)$';

const timeout = () => text(TIMEOUT_PATTERN, 4, 'a time from 1s to 5m, such as 30s');
const onFailure = () => z.enum(FILTER_FAILURES);

export const filter = () =>
  z
    .object({
      url: url(
        URL_PATTERN,
        1024,
        'the address of a filter, without a user: https://HOST/PATH, or http://NAME.NAMESPACE.svc:PORT, or http on the loopback',
      ).describe(
        'Where the filter is asked; without a path at /checkv2. HTTPS, verified. Plain HTTP only to the loopback and to a Service (http://NAME.NAMESPACE.svc:11333): the messages and the password would be read by every network between.',
      ),
      secretName: objectName()
        .optional()
        .describe(
          'Secret with the key "password", which the filter gets with each message. Default: no password.',
        ),
      trustConfigMapName: objectName()
        .optional()
        .describe(
          'ConfigMap with the certificates (PEM) of the authorities that the filter is verified against. Default: the public roots of the runtime.',
        ),
      timeout: timeout()
        .optional()
        .describe('How long the filter may take for one message, at most 5m. Default: 30s.'),
      onFailure: onFailure()
        .optional()
        .describe(
          'What becomes of a message that the filter does not judge. Tempfail (the default): the client is answered 451, and sends it again. Accept: it is taken, with the field "X-Mailrelay-Unfiltered: Yes".',
        ),
    })
    .describe(
      'A content filter that speaks the protocol of rspamd: it refuses, delays or holds a message, and changes its header. Not with queue.mode CutThrough. See docs/filtering.md.',
    );

export const listenerFilter = () =>
  z
    .object({
      enabled: z.boolean().optional().describe('Whether the filter is asked here. Default: true.'),
      timeout: timeout().optional().describe('Default: inbound.filter.timeout.'),
      onFailure: onFailure().optional().describe('Default: inbound.filter.onFailure.'),
    })
    .describe('What is different here about inbound.filter.');
