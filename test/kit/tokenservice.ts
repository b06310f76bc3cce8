/**
 * A token endpoint that answers as Microsoft and Google do, word for word where the words decide. It checks what it is
 * sent: the secret, or the signature of the assertion.
 */
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { type CryptoKey, type JWTPayload, jwtVerify, type KeyObject } from 'jose';
import { freePort } from './ports.ts';

export interface TokenReply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> | string;
}

const TRACE =
  'Trace ID: 5c7d1f2e-0000-4000-8000-3a1f4f2b1a00 Correlation ID: 9d0f8a52-0000-4000-8000-6d3e8d4f9a00 Timestamp: 2026-11-29 03:00:00Z';

/** As login.microsoftonline.com refuses. */
export function microsoftError(number: number, words: string, error = 'invalid_client'): TokenReply {
  return {
    status: error === 'invalid_client' ? 401 : 400,
    body: {
      error,
      error_description: `AADSTS${number}: ${words} ${TRACE}`,
      error_codes: [number],
      timestamp: '2026-11-29 03:00:00Z',
      trace_id: '5c7d1f2e-0000-4000-8000-3a1f4f2b1a00',
      correlation_id: '9d0f8a52-0000-4000-8000-6d3e8d4f9a00',
      error_uri: `https://login.microsoftonline.com/error?code=${number}`,
    },
  };
}

/** As oauth2.googleapis.com refuses. */
export function googleError(error: string, words: string, status = 400): TokenReply {
  return { status, body: { error, error_description: words } };
}

/** `body` has what Microsoft and Google give beside the token. */
export function tokenReply(token: string, more: Readonly<Record<string, unknown>> = {}): TokenReply {
  return {
    status: 200,
    body: { token_type: 'Bearer', expires_in: 3_599, ext_expires_in: 3_599, access_token: token, ...more },
  };
}

export class TokenService {
  readonly #server: Server;
  readonly url: string;
  readonly asked: Readonly<Record<string, string>>[] = [];
  /** The last token that was given. */
  token = '';
  answer: (form: Readonly<Record<string, string>>) => TokenReply | Promise<TokenReply> = () =>
    tokenReply(`token-${this.asked.length}`);

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}/tenant/oauth2/v2.0/token`;
    this.#server = createServer(async (request, response) => {
      const form = Object.fromEntries(new URLSearchParams(await text(request)));
      this.asked.push(form);
      const { status, body } = await this.answer(form);
      if (typeof body !== 'string' && typeof body['access_token'] === 'string')
        this.token = body['access_token'];
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  static async start(): Promise<TokenService> {
    const port = await freePort();
    const service = new TokenService(port);
    await new Promise<void>((resolve) => service.#server.listen(port, '127.0.0.1', resolve));
    return service;
  }

  /** The claims of the assertion of this request, after its signature was checked. */
  async readAssertion(
    form: Readonly<Record<string, string>>,
    key: CryptoKey | KeyObject,
  ): Promise<{ header: Readonly<Record<string, unknown>>; claims: JWTPayload }> {
    const assertion = form['client_assertion'] ?? form['assertion'] ?? '';
    const { protectedHeader, payload } = await jwtVerify(assertion, key, { audience: this.url });
    return { header: { ...protectedHeader }, claims: payload };
  }

  down(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
