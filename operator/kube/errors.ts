/**
 * The failures of requests to the API server, as one class with a stable `kind`. Callers decide by the kind, never by
 * the text.
 */
export type KubeErrorKind =
  /** No answer: refused, reset, timed out, or the server is overloaded or broken (429, 5xx). */
  | 'unavailable'
  /** Only this request failed, for example because an admission webhook is down: 500 with a Status object, or a write alone late. */
  | 'failed'
  | 'conflict'
  | 'notFound'
  /** Nothing was sent, because what is written for is another by now. */
  | 'outdated'
  /** The resource version is too old: list again. */
  | 'expired'
  /** 401: the server does not know the token, or does not know it any more. */
  | 'unauthenticated'
  | 'forbidden'
  /** The object is refused: validation, admission, quota. A person must act. */
  | 'invalid'
  /** The write was taken, but its answer lacks what was written: something takes it away, such as a webhook. */
  | 'undone';

export class KubeError extends Error {
  readonly kind: KubeErrorKind;
  readonly status: number | undefined;
  /** Seconds to wait, as the server asked. */
  readonly retryAfter: number | undefined;

  constructor(kind: KubeErrorKind, message: string, status?: number, retryAfter?: number, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The begin of the answer to an apply with a field that the server does not know. It is a 500 without a reason. */
const UNKNOWN_FIELD = 'failed to create typed patch object';

/** `words` is the message of the Status object of the API server, if the answer has one. */
export function kindOfStatus(status: number, words: string | undefined): KubeErrorKind {
  switch (status) {
    case 401:
      return 'unauthenticated';
    case 403:
      return 'forbidden';
    case 404:
      return 'notFound';
    case 409:
      return 'conflict';
    case 410:
      return 'expired';
    case 429:
      return 'unavailable';
    case 500:
      if (words?.startsWith(UNKNOWN_FIELD)) return 'invalid';
      return words === undefined ? 'unavailable' : 'failed';
    default:
      return status >= 500 ? 'unavailable' : 'invalid';
  }
}

export function isKubeError(error: unknown, ...kinds: KubeErrorKind[]): error is KubeError {
  return error instanceof KubeError && (kinds.length === 0 || kinds.includes(error.kind));
}
