/** Who may relay, in the inbound half of a MailRelay spec. Part of the single source, see mailrelay.ts. */
import { z } from 'zod';
import { domainPatterns, networks, objectName, senderPatterns, text, url } from './shapes.ts';

const certificates = () =>
  z
    .object({
      trustConfigMapName: objectName().describe(
        'Name of the ConfigMap with the authorities (PEM, any keys) of client certificates.',
      ),
      names: z
        .array(text('^[^\\s]+$', 253, 'a name of a certificate, such as app.example.com or *.example.com'))
        .min(1)
        .max(256)
        .describe(
          'Names that may relay: a subject alternative name (DNS, e-mail or URI), exactly or as *.example.com for any host one label below.',
        ),
    })
    .optional()
    .describe('Clients that prove themselves by a TLS certificate. Others are not asked to have one.');

const tokenIssuer = () =>
  z
    .object({
      issuer: url('^https://[^\\s]+$', 512, 'an https URL').describe(
        'Issuer of the tokens, exactly as their "iss" claim has it; keys are found by OpenID Connect discovery.',
      ),
      audience: text('^[^\\s]+$', 512, 'an audience without blanks').describe(
        'A value that the "aud" claim of a token must have.',
      ),
      subjects: z
        .array(text('^[^\\s]+$', 512, 'a subject without blanks'))
        .min(1)
        .max(256)
        .describe(
          'Identities that may relay: values of the "sub" claim, such as system:serviceaccount:shop:mailer. A trailing * stands for any rest.',
        ),
      keysConfigMapName: objectName()
        .optional()
        .describe(
          'Name of the ConfigMap whose key jwks.json has the keys of the issuer. Default: they are fetched by discovery.',
        ),
      trustConfigMapName: objectName()
        .optional()
        .describe(
          'Name of the ConfigMap with the authorities of the issuer, such as kube-root-ca.crt. Default: the public roots.',
        ),
      acceptAsPassword: z
        .boolean()
        .optional()
        .describe(
          'Whether a token is taken as the password of AUTH PLAIN and LOGIN too, with any user name, for clients that know no other mechanism. Default: false.',
        ),
    })
    .optional()
    .describe('Clients that log in with a token of an OpenID Connect issuer (OAUTHBEARER, XOAUTH2).');

const senderLogins = () =>
  z
    .array(
      z.object({
        logins: z
          .array(text('^[^\\s]+$', 512, 'a user name or a token subject without blanks'))
          .min(1)
          .max(64)
          .optional()
          .describe(
            'User names, and subjects of tokens such as system:serviceaccount:shop:mailer. A trailing * stands for any rest, such as system:serviceaccount:shop:* for a namespace.',
          ),
        certificateNames: z
          .array(text('^[^\\s]+$', 253, 'a name of a certificate, such as app.example.com or *.example.com'))
          .min(1)
          .max(64)
          .optional()
          .describe('Names of client certificates, as in certificates.names.'),
        senders: senderPatterns(64).describe(
          'Senders that these may use: domains, *.example.com, or addresses.',
        ),
      }),
    )
    .min(1)
    .max(64)
    .optional()
    .describe(
      "Who may send as whom (Postfix: reject_sender_login_mismatch). A login that an entry names may use only the senders of its entries, and those beside its password in credentialsSecretName: in MAIL FROM, From, Sender, Resent-From and Resent-Sender. Others are answered '553 5.7.1'. The null sender is always taken. Default: a login without senders may use any.",
    );

export const clients = () =>
  z.object({
    networks: networks()
      .optional()
      .describe(
        'Client networks that may relay. Only meaningful where the real client address is seen: behind a Service with externalTrafficPolicy: Cluster it may be the address of a node.',
      ),
    credentialsSecretName: objectName()
      .optional()
      .describe(
        'Name of the Secret with the users who may log in (AUTH PLAIN, LOGIN, SCRAM-SHA-256) and relay: each key is a user name, each value a line of "mailrelay hash"; or a value is a list, a line USER:HASH each, for names that cannot be keys. Behind the hash may follow the senders that the user may use: addresses and domains, as in senderLogins.',
      ),
    certificates: certificates(),
    oauth: tokenIssuer(),
    senderLogins: senderLogins(),
    senderDomains: domainPatterns(256)
      .optional()
      .describe(
        'Sender domains that those who may relay are held to. Default: any. The null sender is always taken; DKIM signs no other From.',
      ),
    recipientDomains: domainPatterns(256)
      .optional()
      .describe('Recipient domains that those who may relay are held to. Default: any.'),
  });
