/** XOAUTH2 in one session, in the shape in which nodemailer asks for tokens. */
import type { Tokens } from './tokensource.ts';

export class TokenLogin {
  readonly #user: string;
  readonly #tokens: Tokens;
  #said: string | undefined;

  constructor(user: string, tokens: Tokens) {
    this.#user = user;
    this.#tokens = tokens;
  }

  /** `isAgain`: the hop has refused the token that it got in this session. */
  getToken(isAgain: boolean, done: (error: Error | null, token?: string) => void): void {
    if (isAgain && this.#said !== undefined) this.#tokens.refuse(this.#said);
    this.#tokens.get().then(
      (token) => {
        this.#said = token;
        done(null, token);
      },
      (error: Error) => done(error),
    );
  }

  buildXOAuth2Token(token: string): string {
    return Buffer.from(`user=${this.#user}\x01auth=Bearer ${token}\x01\x01`).toString('base64');
  }

  /** The hop refuses the login. True if it took this token before, and a new one may be good: no failed login yet. */
  refused(): boolean {
    return this.#said !== undefined && this.#tokens.refuse(this.#said);
  }
}
