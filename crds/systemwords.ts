/** Plain words for the error codes of the system, so that no code of Node reaches a person. Pure. */

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'you have no permission',
  EPERM: 'you have no permission',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is no folder',
  EEXIST: 'there is one already',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk takes no changes',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  EIO: 'the disk has an error',
  EDQUOT: 'your share of the disk is full',
  EFBIG: 'the file would be too large',
  EBUSY: 'it is in use',
  EXDEV: 'it is on another disk',
  ENOTEMPTY: 'the folder is not empty',
  ENFILE: 'too many files are open',
  ENOMEM: 'the memory is full',
  ENOBUFS: 'the memory for the network is full',
  ENXIO: 'nothing is there',
  EAFNOSUPPORT: 'this machine has no addresses of that kind',
  ENETDOWN: 'the network is down',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was ended at the other side',
  EPIPE: 'the connection was ended at the other side',
  ETIMEDOUT: 'there is no answer',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOTFOUND: 'there is no host of this name',
  EAI_AGAIN: 'the name server does not answer',
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this machine does not have that address',
};

/** libuv has no name for a quota that is used up. The number is that of Linux. */
const QUOTA = -122;

/** The code of an error of the system, also of one that Node does not name. Empty if it is none. */
export function nameSystemError(error: unknown): string {
  const { code, errno } = error as { readonly code?: unknown; readonly errno?: unknown };
  if (errno === QUOTA) return 'EDQUOT';
  return typeof code === 'string' ? code : '';
}

/** True where the disk is full, or a quota is used up. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(nameSystemError(error));
}

/** True where the system has no means to do it now, which says nothing of the file or the host. Of EIO nobody knows whether it passes. */
export function lacksMeans(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EIO'].includes(nameSystemError(error));
}

export function isSystemCode(code: string): boolean {
  return Object.hasOwn(WORDS, code);
}

/** What an error of the system means. An error without a known code speaks for itself. */
export function describeSystemError(error: unknown): string {
  const { message = '' } = error as Partial<Error>;
  return WORDS[nameSystemError(error)] ?? message;
}

export function describeFileError(verb: 'read' | 'write', path: string, error: unknown): Error {
  // A file that is written need not be there.
  if (verb === 'write' && (error as NodeJS.ErrnoException).code === 'ENOENT')
    return new Error(`Cannot write "${path}": its folder is not there: make the folder first`, {
      cause: error,
    });
  return new Error(`Cannot ${verb} "${path}": ${describeSystemError(error)}`, { cause: error });
}
