/** Every word that Node has for an error of OpenSSL about a certificate (its page tls.md) is told in other words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeCertificateError, readCertificateError } from './certificateerror.ts';

const CODES = [
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'HOSTNAME_MISMATCH',
  'UNSPECIFIED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
];

test('each code has a cause and words, and is in no word', () => {
  for (const code of CODES) {
    const error = readCertificateError(code);
    assert.match(error?.cause ?? '', /^certificate-/, code);
    assert.doesNotMatch(`${error?.says} ${error?.cure}`, /[A-Z]{2,}_|UNSPECIFIED/, code);
  }
});

test('a code of another kind is no certificate error, and one that is new is of an untrusted certificate', () => {
  for (const code of ['ECONNRESET', 'EPROTO', 'constructor', ''])
    assert.equal(readCertificateError(code), undefined);
  const { cause, says } = judgeCertificateError('SOMETHING_NEW');
  assert.equal(`${cause} ${says}`, 'certificate-untrusted is of no trusted authority');
});
