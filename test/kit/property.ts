/**
 * fast-check, for properties. In CI every run sees the same inputs, so that a red property is the fault of the change.
 * Elsewhere the inputs are new each time.
 */
import fc from 'fast-check';
import { SEED_OF_CI } from './seed.ts';

if (process.env['CI'] === 'true') fc.configureGlobal({ seed: SEED_OF_CI });

export default fc;
