/**
 * The seed of what a test draws. In CI every run draws the same, so that a red test is the fault of the change.
 * Elsewhere, and in `make soak`, a run draws anew. MAILRELAY_SEED draws the same as an earlier run.
 */
const { CI, MAILRELAY_SEED, MAILRELAY_SOAK } = process.env;

export const SEED_OF_CI = 20_261_129;

const chosen = CI === 'true' && MAILRELAY_SOAK === undefined ? SEED_OF_CI : Date.now() % 2 ** 31;

export const seed = Number(MAILRELAY_SEED ?? chosen);
