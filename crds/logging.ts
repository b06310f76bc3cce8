/** The words of `spec.logging`. Pure data. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export const LOG_ADDRESSES = ['Full', 'Domain', 'Hash'] as const;
