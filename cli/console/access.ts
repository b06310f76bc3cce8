/**
 * Who may use the console. The address that the command prints has a token. It opens one session and is worth nothing
 * after that; the session is a cookie that no script can read. A page of another site, or a name of another site that
 * points to this machine (DNS rebinding), gets nothing. Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface Asked {
  readonly method: string;
  readonly token: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site, which browsers send. */
  readonly site: string | undefined;
  readonly cookie: string | undefined;
}

export type Access =
  | { readonly kind: 'allowed' }
  /** The token was right and unused: the answer sets the cookie. */
  | { readonly kind: 'opened'; readonly cookie: string }
  | { readonly kind: 'refused'; readonly code: 401 | 403; readonly message: string };

interface Secrets {
  readonly token: string;
  readonly session: string;
}

export class Doorkeeper {
  readonly #secrets: Secrets;
  readonly #port: number;
  readonly #allowsChanges: boolean;
  #isTokenUsed = false;

  constructor(secrets: Secrets, port: number, allowsChanges: boolean) {
    this.#secrets = secrets;
    this.#port = port;
    this.#allowsChanges = allowsChanges;
  }

  judge(asked: Asked): Access {
    const { method, host = '' } = asked;
    if (!this.#hosts.includes(host)) return refuse(403, `The console has no name "${host}": use 127.0.0.1`);
    if (asked.token !== undefined) return this.#open(asked.token);
    if (!this.#isInSession(asked.cookie))
      return refuse(401, 'Open the address that the command printed. It works once: start the command again');
    if (method === 'GET') return { kind: 'allowed' };
    return method === 'POST' ? this.#judgeChange(asked) : refuse(403, `The console takes no ${method}`);
  }

  #open(token: string): Access {
    if (this.#isTokenUsed || !isSame(token, this.#secrets.token))
      return refuse(401, 'This address was used already, or is wrong: start the command again for a new one');
    this.#isTokenUsed = true;
    const cookie = `${this.#cookieName}=${this.#secrets.session}; HttpOnly; SameSite=Strict; Path=/`;
    return { kind: 'opened', cookie };
  }

  #judgeChange({ origin, site, host }: Asked): Access {
    const isOwn = origin === `http://${host}` && (site ?? 'same-origin') === 'same-origin';
    if (!isOwn) return refuse(403, 'The request came from another site: change the queue on the page itself');
    if (!this.#allowsChanges)
      return refuse(403, 'This console only looks: start the command with --allow-changes');
    return { kind: 'allowed' };
  }

  #isInSession(cookies = ''): boolean {
    const pairs = cookies.split('; ').map((pair) => pair.split('=', 2));
    return pairs.some(
      ([name, value = '']) => name === this.#cookieName && isSame(value, this.#secrets.session),
    );
  }

  /** Cookies are shared by all ports of a host. */
  get #cookieName(): string {
    return `mailrelay-console-${this.#port}`;
  }

  get #hosts(): readonly string[] {
    return [`127.0.0.1:${this.#port}`, `localhost:${this.#port}`];
  }
}

function refuse(code: 401 | 403, message: string): Access {
  return { kind: 'refused', code, message };
}

/** Takes the same time wherever the texts differ. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
