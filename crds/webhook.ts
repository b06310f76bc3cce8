/** The field spec.events of a MailRelay: who is told what becomes of mail. */
import { z } from 'zod';
import { objectName, url } from './shapes.ts';

/** No user and no password, because the URL is no secret. */
const URL_PATTERN = '^https://[a-zA-Z0-9_.:\\[\\]-]+(/[^\\s#]*)?$';

export const events = z
  .object({
    webhook: z
      .object({
        url: url(
          URL_PATTERN,
          1024,
          'the address of a receiver, https://HOST/PATH, without a user; for one inside the cluster name its authority in trustConfigMapName',
        ).describe('Where events are posted to, by HTTPS. It is no secret: who reads the spec reads it.'),
        secretName: objectName().describe(
          'Secret with the key "secret": one or more keys of the signature, as Standard Webhooks writes them (whsec_ and 24 to 64 bytes in base64), separated by white space. Each signs, so that a key can be changed without a gap.',
        ),
        trustConfigMapName: objectName()
          .optional()
          .describe(
            'ConfigMap with the certificates (PEM) of the authorities that the receiver is verified against. Default: the public roots of the runtime.',
          ),
      })
      .describe('The receiver of the events.'),
  })
  .describe(
    'Tells a program what becomes of mail, as signed JSON (Standard Webhooks): accepted, deferred, delivered, bounced, expired, removed. At least once, in batches. See docs/events.md.',
  );
