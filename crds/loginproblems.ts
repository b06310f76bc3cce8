/**
 * Why a provider refuses our login, and the cure: the codes of token services (RFC 6749 section 5.2, AADSTS of
 * Microsoft), and of SMTP hosts at AUTH. The texts of providers are only searched for known words and never shown,
 * because some of them echo secrets. Pure data.
 */
export interface LoginProblem {
  /** As the provider says it: AADSTS7000215, invalid_grant, 5.7.139. */
  readonly code: string;
  readonly cure: string;
  /** It ends by itself. */
  readonly isTemporary?: boolean;
}

interface Rule extends LoginProblem {
  /** Only where the text has these words. */
  readonly words?: RegExp;
  /** Only where the login is of this kind. */
  readonly login?: 'password' | 'token';
}

const MADE_ANEW =
  'make a new one in "Certificates & secrets" of the app registration, and write it into the Secret';

const MICROSOFT: readonly Rule[] = [
  {
    code: 'AADSTS7000215',
    cure: 'clientSecret is wrong: write the value of the client secret into the Secret, not its ID',
  },
  { code: 'AADSTS7000222', cure: `the client secret has expired: ${MADE_ANEW}` },
  {
    code: 'AADSTS7000216',
    cure: 'the app must prove itself: write clientSecret, or tls.crt and tls.key, into the Secret',
  },
  {
    code: 'AADSTS700016',
    cure: 'the tenant has no such app: correct clientId (the application ID), or the tenant in tokenURL',
  },
  {
    code: 'AADSTS7000229',
    cure: 'the app has no service principal in this tenant: grant admin consent to the app registration',
  },
  { code: 'AADSTS7000112', cure: 'the app is disabled: enable it in "Enterprise applications"' },
  { code: 'AADSTS90002', cure: 'there is no such tenant: correct the tenant ID in tokenURL' },
  { code: 'AADSTS900023', cure: 'that is no tenant: write the tenant ID into tokenURL' },
  {
    code: 'AADSTS700027',
    cure: 'the certificate is unknown or has expired: upload tls.crt in "Certificates & secrets" of the app registration',
  },
  { code: 'AADSTS700024', cure: 'the clock of the node is wrong: correct its time' },
  { code: 'AADSTS70011', cure: 'correct scope: https://outlook.office365.com/.default' },
  { code: 'AADSTS1002012', cure: 'correct scope: https://outlook.office365.com/.default' },
  { code: 'AADSTS500011', cure: 'correct scope: https://outlook.office365.com/.default' },
  {
    code: 'AADSTS65001',
    cure: 'nobody has consented: grant admin consent in "API permissions" of the app registration',
  },
  {
    code: 'AADSTS53003',
    cure: 'Conditional Access blocks the app: make an exception for it, or for the address of the relay',
  },
  {
    code: 'AADSTS700082',
    cure: 'the refresh token was not used for too long: log in again, and write the new refreshToken',
  },
  {
    code: 'AADSTS50173',
    cure: 'the refresh token was revoked: log in again, and write the new refreshToken',
  },
  {
    code: 'AADSTS50076',
    cure: 'the user must log in with a second factor: use an app with its own permission (clientSecret)',
  },
  { code: 'AADSTS90033', cure: 'wait: Microsoft has a fault that ends by itself', isTemporary: true },
  { code: 'AADSTS50196', cure: 'wait: Microsoft was asked too often', isTemporary: true },
];

const GOOGLE: readonly Rule[] = [
  {
    code: 'unauthorized_client',
    words: /unauthorized to retrieve access tokens|not authorized for any of the scopes/i,
    cure: 'the service account may not act for users: add its client ID with the scope https://mail.google.com/ in the Admin console, Security, API controls, Domain-wide delegation',
  },
  {
    code: 'invalid_grant',
    words: /invalid email or user id/i,
    cure: 'username must be the main address of a user of the Google domain: correct it in the Secret',
  },
  {
    code: 'invalid_grant',
    words: /account not found/i,
    cure: 'the service account is gone: make a new one with a key, and write its file into serviceAccountKey',
  },
  {
    code: 'invalid_grant',
    words: /jwt signature/i,
    cure: 'the key of the service account is gone: make a new key, and write its file into serviceAccountKey',
  },
  {
    code: 'invalid_grant',
    words: /reasonable timeframe|iat and exp/i,
    cure: 'the clock of the node is wrong: correct its time',
  },
  { code: 'disabled_client', cure: 'the client is disabled: enable it in the Google Cloud console' },
  { code: 'deleted_client', cure: 'the client is gone: make a new one, and write it into the Secret' },
  {
    code: 'admin_policy_enforced',
    cure: 'the administrator of the Google domain must allow the app in API controls',
  },
];

/** RFC 6749 section 5.2, and section 4.1.2.1 for the temporary ones. */
const OAUTH: readonly Rule[] = [
  {
    code: 'invalid_grant',
    cure: 'the refresh token or the assertion has ended or was revoked: log in again, and write the new refreshToken into the Secret',
  },
  { code: 'invalid_client', cure: 'correct clientId and clientSecret in the Secret' },
  { code: 'unauthorized_client', cure: 'the client may not use this grant: allow it at the provider' },
  { code: 'invalid_scope', cure: 'correct scope in the Secret' },
  { code: 'unsupported_grant_type', cure: 'correct tokenURL, or use another kind of login' },
  { code: 'invalid_request', cure: 'correct tokenURL and the keys of the Secret' },
  { code: 'access_denied', cure: 'the provider forbids it: see its policies for this client' },
  { code: 'temporarily_unavailable', cure: 'wait: the token service is busy', isTemporary: true },
  { code: 'server_error', cure: 'wait: the token service has a fault', isTemporary: true },
];

/** Replies to AUTH. The first that fits counts. */
const REPLIES: readonly Rule[] = [
  {
    code: '5.7.139',
    words: /disabled for the tenant/i,
    cure: 'SMTP AUTH is off for the tenant: Set-CASMailbox MAILBOX -SmtpClientAuthenticationDisabled $false turns it on for the mailbox',
  },
  {
    code: '5.7.139',
    words: /disabled for the mailbox/i,
    cure: 'SMTP AUTH is off for the mailbox: Set-CASMailbox MAILBOX -SmtpClientAuthenticationDisabled $false turns it on',
  },
  {
    code: '5.7.139',
    words: /basic authentication is disabled|security defaults/i,
    cure: 'passwords are off: use a token (clientId and clientSecret, see docs/microsoft-google.md)',
  },
  {
    code: '5.7.139',
    words: /user is locked/i,
    cure: 'the account is locked after wrong logins: unlock it, then correct the Secret',
  },
  {
    code: '5.7.139',
    cure: 'a policy of the tenant stops the login: see the sign-in log of the user, allow SMTP AUTH for the mailbox, or use a token',
  },
  {
    code: '5.7.3',
    login: 'token',
    cure: 'the app may not use this mailbox: register its service principal in Exchange Online (New-ServicePrincipal, with the object ID of the enterprise application), give it the mailbox (Add-MailboxPermission), and check username; a change takes an hour at most',
  },
  {
    code: '5.7.3',
    cure: 'check the Secret with its credentials, and whether SMTP AUTH is on for the mailbox',
  },
  {
    code: '5.7.9',
    words: /application-specific password/i,
    cure: 'the account has a second factor: make an app password and write it into the Secret, or use a token',
  },
  { code: '5.7.14', cure: 'the provider wants a login in a browser first: log in there, or use a token' },
  {
    code: '5.7.8',
    login: 'token',
    cure: 'check the Secret: username must be the mailbox that the token is for, and the token must have the scope for SMTP',
  },
  {
    code: '5.7.8',
    words: /google\.com|gsmtp/i,
    cure: 'check the Secret with its credentials; a Google account with a second factor needs an app password',
  },
];

/** Where the answer to AUTH has no known code. */
export const CHECK_SECRET = 'check the Secret with its credentials';
const OTHER = 'see the documentation of the provider for this code, and correct the Secret';

/** `description` is the free text of the service. */
export function readTokenProblem(error: string, description: string): LoginProblem {
  const number = /\bAADSTS\d{4,8}\b/.exec(description)?.[0];
  const code = /^[a-z_]{1,40}$/.test(error) ? error : 'an unknown error';
  return (
    MICROSOFT.find((rule) => rule.code === number) ??
    [...GOOGLE, ...OAUTH].find(
      (rule) => number === undefined && rule.code === code && (rule.words?.test(description) ?? true),
    ) ?? { code: number ?? code, cure: OAUTH.find((rule) => rule.code === code)?.cure ?? OTHER }
  );
}

/** The cure for a reply to AUTH. Undefined if the code is not known. */
export function findLoginCure(reply: string, login: 'password' | 'token'): string | undefined {
  const [code] = /\b5\.7\.\d{1,3}\b/.exec(reply) ?? [];
  return REPLIES.find(
    (rule) => rule.code === code && (rule.login ?? login) === login && (rule.words?.test(reply) ?? true),
  )?.cure;
}

/** The words of a reply to AUTH that tell cases apart: all of its text that may be kept, because we know each of them. */
export function readKnownWords(reply: string): string {
  return REPLIES.flatMap(({ words }) => words?.exec(reply)?.[0] ?? []).join(', ');
}

const ALL_RULES = [...MICROSOFT, ...GOOGLE, ...OAUTH, ...REPLIES];

/** All codes with their cures, for `mailrelay explain`. `where` tells those of one code apart. */
export const LOGIN_PROBLEMS: readonly (LoginProblem & { readonly where?: string })[] = ALL_RULES.map(
  (rule) => {
    const { code, cure } = rule;
    const where = describeCase(rule);
    return where === undefined ? { code, cure } : { code, cure, where };
  },
);

function describeCase({ code, words, login }: Rule): string | undefined {
  const all = ALL_RULES.filter((rule) => rule.code === code);
  const texts = (words?.source ?? '').replaceAll('\\', '').split('|');
  const cases = [
    ...(login ? [`the login is a ${login}`] : []),
    ...(!login && all.some((rule) => rule.login === 'token') ? ['the login is a password'] : []),
    ...(words ? [`the answer says ${texts.map((text) => `"${text}"`).join(' or ')}`] : []),
  ];
  if (cases.length === 0 && all.length > 1) return 'the answer says something else';
  return cases.join(', and ') || undefined;
}
