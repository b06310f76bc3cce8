/**
 * Finds the addresses whose mail ends at the relay (crds/reportaddresses.ts). They are compared as the relay reads them, so
 * quotes and case make no difference. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import { REPORT_FIELDS, type ReportField } from '#crds/reportaddresses.ts';
import { compileReadableSenders } from './senders.ts';

type Addresses = Pick<Policy, 'inbound'>;

/** Finds the field that has an address. Undefined for every other address. */
export function compileReportFields({ inbound }: Addresses): (address: string) => ReportField | undefined {
  const fields = REPORT_FIELDS.flatMap((field) => {
    const terms = inbound[field];
    return terms ? [{ field, matches: compileReadableSenders([terms.address]) }] : [];
  });
  return (address) => fields.find(({ matches }) => matches(address))?.field;
}

/** Matches the addresses whose mail ends at the relay. */
export function matchReportAddress(policy: Addresses): (address: string) => boolean {
  const findField = compileReportFields(policy);
  return (address) => findField(address) !== undefined;
}
