/** Answers the library when a client logs in by a mechanism that the library knows. The decision is in logins.ts. */
import type { SMTPServerOptions, SMTPServerSession } from 'smtp-server';
import type { LoginClient, Logins } from './logins.ts';
import type { Refusals } from './refusals.ts';
import { REPLIES } from './reply.ts';

export function makeAuthHandler(
  logins: Logins,
  refusals: Refusals,
  findClient: (session: SMTPServerSession) => LoginClient,
): NonNullable<SMTPServerOptions['onAuth']> {
  return (auth, session, callback) => {
    logins.judge(auth, findClient(session)).then(
      (said) => {
        if (said.kind === 'login') callback(null, { user: said.login });
        else if (said.kind === 'tokenRefused') {
          // The 535 follows after the client's next response.
          refusals.expect(session, REPLIES.authFailed.reason);
          callback(null, { data: said.data });
        } else callback(refusals.by(session, said.reply));
      },
      (error: Error) => callback(refusals.from(session, error)),
    );
  };
}
