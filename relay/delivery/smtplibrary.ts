/**
 * The private parts of nodemailer's SMTPConnection, with their types. Only hopreplies.ts, hopanswers.ts and hopconnection.ts
 * use them.
 */
import type { Transform } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';

export type Answered = (error: null, reply: string) => void;

interface Kept {
  readonly _supportedExtensions: string[];
  readonly upgrading?: boolean;
  readonly stage: string;
  readonly _responseActions: ((reply: string) => void)[];
  readonly logger: { debug(entry: object, text: string): void };
  readonly _pendingSend: unknown;
  _onError(error: Error, type: string, reply: string, command: string): void;
  _onData(chunk: Buffer): void;
  _onResponseTooLarge(): void;
  _onServerClosing(reply: string): void;
  _upgradeConnection(callback: unknown): void;
  _startPhase(): void;
  _destroy(): void;
  _actionGreeting(reply: string): void;
  _actionEHLO(reply: string): void;
  _actionHELO(reply: string): void;
  _actionSTARTTLS(reply: string): void;
  _actionAUTH_CRAM_MD5(reply: string, callback: unknown): void;
  _onClose(): void;
  _onEnd(): void;
  readonly _envelope?: {
    readonly to: readonly string[];
    readonly accepted: readonly string[];
    readonly pipelined?: boolean;
    readonly mailError?: Error;
  };
  _sendCommand(line: string, shown?: string): void;
  _actionMAIL(reply: string, callback: unknown): void;
  _actionRCPT(reply: string, callback: unknown): void;
  _actionDATA(reply: string, callback: unknown): void;
  _createSendStream(callback: unknown): Transform;
  _actionSMTPStream(reply: string, callback: unknown): void;
}

export const Library = SMTPConnection as unknown as new (
  options: ConstructorParameters<typeof SMTPConnection>[0],
) => SMTPConnection & Kept;
