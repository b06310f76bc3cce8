/** A message that a sink has taken. Only a type, which the page of the console shares. */

export interface TakenMessage {
  readonly number: number;
  /** When it was taken, RFC 3339. */
  readonly time: string;
  readonly client: string;
  /** The name that the client gave by HELO or EHLO. */
  readonly helo: string;
  /** The user name of a login; any password is right. */
  readonly user: string | null;
  /** The envelope. */
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string | null;
  readonly bytes: number;
  /** null: the message came in plain text. */
  readonly tls: {
    readonly version: string;
    readonly cipher: string;
    /** The name that the client asked for (SNI). */
    readonly serverName: string | null;
    /** The subject of the certificate of the client. It is not verified. */
    readonly clientCertificate: string | null;
  } | null;
  readonly file: string;
}
