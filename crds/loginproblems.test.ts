import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLoginCure, LOGIN_PROBLEMS, readKnownWords, readTokenProblem } from './loginproblems.ts';

test('replies of Microsoft and Google to AUTH lead to their cure', () => {
  for (const [reply, login, cure] of [
    [
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR02CA0030.eurprd02.prod.outlook.com]',
      'password',
      /^SMTP AUTH is off for the tenant/,
    ],
    [
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.',
      'token',
      /^SMTP AUTH is off for the mailbox/,
    ],
    ['535 5.7.139 Authentication unsuccessful, basic authentication is disabled.', 'password', /use a token/],
    [
      "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
      'password',
      /^passwords are off/,
    ],
    [
      '535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.',
      'password',
      /sign-in log/,
    ],
    [
      '535 5.7.3 Authentication unsuccessful [FR0P281CA0100.DEUP281.PROD.OUTLOOK.COM]',
      'token',
      /New-ServicePrincipal/,
    ],
    ['535 5.7.3 Authentication unsuccessful', 'password', /^check the Secret/],
    [
      '535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8 https://support.google.com/mail/?p=BadCredentials x - gsmtp',
      'password',
      /app password/,
    ],
    ['535-5.7.8 Username and Password not accepted.', 'token', /username must be the mailbox/],
    ['534-5.7.9 Application-specific password required.', 'password', /app password/],
    [
      '534-5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser',
      'password',
      /browser/,
    ],
  ] as const)
    assert.match(findLoginCure(reply, login) ?? '', cure, reply);
  for (const reply of ['', '535 no', '535 5.7.88 no', '535 15.7.8 no', '454 4.7.0 later'])
    assert.equal(findLoginCure(reply, 'password'), undefined, reply);
});

test('the number of Microsoft counts before the error beside it', () => {
  const code = (error: string, description: string) => readTokenProblem(error, description).code;
  assert.equal(code('invalid_client', 'AADSTS7000215: Invalid client secret provided.'), 'AADSTS7000215');
  assert.equal(code('invalid_grant', 'AADSTS50173: The provided grant has expired'), 'AADSTS50173');
  assert.equal(code('invalid_grant', 'Token has been expired or revoked.'), 'invalid_grant');
  assert.equal(code('x'.repeat(99), ''), 'an unknown error');
  assert.equal(readTokenProblem('server_error', '').isTemporary, true);
  // The words of one provider mean nothing beside the number of another.
  assert.match(readTokenProblem('invalid_grant', 'AADSTS70008: account not found').cure, /refreshToken/);
});

test('every code has a cure in words of its own', () => {
  for (const { code, cure } of LOGIN_PROBLEMS) assert.ok(cure.length > 15 && !cure.endsWith('.'), code);
});

test('of the text of a reply only known words are kept, and they lead to the same cure', () => {
  const reply =
    '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. canary';
  assert.equal(readKnownWords(reply), 'disabled for the Tenant');
  assert.match(
    findLoginCure(`535 5.7.139 ${readKnownWords(reply)}`, 'password') ?? '',
    /^SMTP AUTH is off for the tenant/,
  );
  assert.equal(readKnownWords('535 5.7.8 canary'), '');
});
