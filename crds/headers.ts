/** `spec.headers`: shapes and bounds. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { RECEIVED_FIELDS } from './policyfile.ts';
import { text } from './shapes.ts';

const FIELD_NAME = '[A-Za-z0-9_-]+';

export const headers = z
  .object({
    remove: z
      .array(
        text(
          `^${FIELD_NAME}\\*?$`,
          76,
          'the name of a header field, such as X-Mailer, or X-Internal-* for all',
        ),
      )
      .min(1)
      .max(64)
      .optional()
      .describe(
        'Header fields that are removed, in any case: X-Mailer, or X-Internal-* for all that begin so. From, MIME-Version and Content-* always stay; a removed Date or Message-ID is made anew. Received concerns the fields of earlier hosts, not that of the relay. Default: none but Bcc.',
      ),
    received: z
      .enum(RECEIVED_FIELDS)
      .optional()
      .describe(
        'Content of the Received field that the relay adds. Full (the default): with the name and the address of the client. NoClient: without them. None: there is no such field.',
      ),
    add: z
      .array(
        z.object({
          name: text(`^${FIELD_NAME}$`, 76, 'the name of a header field, such as X-Environment').describe(
            'Name of the field.',
          ),
          value: text(
            '^[!-~]([ -~]*[!-~])?$',
            900,
            'one line of ASCII that neither begins nor ends with a blank',
          ).describe('Value of the field.'),
        }),
      )
      .min(1)
      .max(32)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .optional()
      .describe(
        'Header fields that are added to messages that have none of the same name. To replace a field, name it in remove too. DKIM signs after it.',
      ),
  })
  .describe(
    'Header fields of submitted mail, which is mail of those who may relay. Other mail passes unchanged, because a change breaks its signatures.',
  );
