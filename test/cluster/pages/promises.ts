/**
 * What the pages promise of their commands, and what they take for granted. A command without an entry ends with exit status 0,
 * and that is all that is asked of it.
 */
import assert from 'node:assert/strict';
import { get, kubectl, OPERATOR_NAMESPACE, serviceAddress } from '../kube.ts';
import { type Reader, TAGS } from './reader.ts';
import {
  countPods,
  editManifest,
  holdOne,
  installPrometheusRules,
  NAMESPACE,
  queueOne,
  refuseOne,
  removeCertificate,
  removeKustomization,
  uninstall,
  untilApplied,
  untilReached,
  untilTags,
} from './scenes.ts';

const HOSTNAME = 'relay.example.com';
/** The certificate authority that a reader has sent the request to. */
const SIGN = 'openssl x509 -req -in relay.csr -signkey tls.key -copy_extensions copy -out tls.crt';

export interface Promised {
  readonly command: RegExp;
  /** Brings about what the page takes for granted. */
  readonly given?: (reader: Reader) => unknown;
  readonly shows?: RegExp;
  /**
   * How it is looked at: typed once; typed again until it shows what comes about by and by; or left running, because it does
   * not end by itself.
   */
  readonly typed?: 'once' | 'again' | 'running';
  /** What has come about when it has ended. */
  readonly outcome?: (reader: Reader) => unknown;
}

export const PROMISES: readonly Promised[] = [
  { command: /^kubectl apply --server-side -k /, outcome: removeKustomization },
  {
    command: /^helm install mailrelay /,
    given: uninstall,
    shows: /^STATUS: deployed$/m,
  },
  { command: /^helm test /, shows: /^Phase: +Succeeded$/m },
  { command: /^kubectl wait --for=condition=(?:Certificate)?Ready /, shows: /relay condition met$/m },
  {
    command: /mailrelay send --server relay\.mail\.svc:25 /,
    given: untilReached,
    shows: /^250 .*\nTLSv1\.3 /m,
  },
  {
    command: /^kubectl logs -n mail sink$/,
    typed: 'again',
    shows: /message 1: me@example\.com to you@example\.com[\s\S]*TLSv1\.3/,
  },
  { command: /^kubectl exec -n mail sink -- node /, typed: 'again', shows: /^From: <me@example\.com>/m },
  {
    command: /^kubectl get mr relay -n mail -o wide$/,
    typed: 'again',
    shows: /^NAME +READY +REASON .* MESSAGE *\nrelay +1\/1 /,
  },
  { command: /^kubectl describe mr relay -n mail$/, shows: /^ *Type: +Ready$/m },
  { command: /^kubectl get mr -A$/, typed: 'again', shows: /^mail +relay +1\/1 /m },
  {
    command: /^kubectl get mr relay -n mail$/,
    typed: 'again',
    shows: /^NAME .*STARTTLS.*CERTIFICATE.*\nrelay +1\/1 .*Enabled.* \d{4}-/,
  },
  {
    command: /-- mailrelay status$/,
    typed: 'again',
    shows: /^relay +\S+, ready\n[\s\S]*^policy +\w+ in force[\s\S]*^certificate +relay\.example\.com/m,
  },
  // The other end of the way from a CSR to a Secret: the CA.
  { command: /^openssl req /, outcome: (reader) => reader.run(SIGN) },
  {
    command: /^kubectl create secret tls /,
    given: removeCertificate,
    outcome: () =>
      assert.equal(get<{ type: string }>('secret', 'relay-tls', NAMESPACE).type, 'kubernetes.io/tls'),
  },
  { command: /^kubectl apply -f relay\.yaml$/, given: editManifest, outcome: untilApplied },
  { command: /\| base64 -d$/, shows: /^-----BEGIN CERTIFICATE-----/ },
  {
    command: /^openssl s_client -connect relay\.example\.com:25 /,
    given: (reader) => reader.knowHost(HOSTNAME, serviceAddress(NAMESPACE)),
    shows: /Protocol version: TLSv1\.3/,
  },
  { command: /mailrelay explain joe@partner\.example --connect$/, shows: /^goes by +outbound\.routes\[1\]/m },
  {
    command: /^kubectl logs -f .* \| mailrelay trace$/,
    typed: 'running',
    given: refuseOne,
    shows: /R: MAIL FROM:<app@example\.com> NONSENSE=1/,
  },
  { command: /^kubectl mailrelay console /, typed: 'running', shows: /http:\/\/127\.0\.0\.1:\d+\// },
  { command: /^kubectl mailrelay --help$/, shows: /kubectl mailrelay/ },
  {
    command: /^kubectl mailrelay queue retry /,
    given: () => queueOne(),
    shows: /^\d+ messages? tried, and still wait/m,
  },
  { command: /^kubectl mailrelay test /, shows: /^smtp at port 25: taken$/m },
  { command: /^kubectl mailrelay diff /, shows: /^No difference\.$/m },
  {
    command: /jsonpath='\{range \.status\.dnsRecords/,
    typed: 'again',
    shows: /^_25\._tcp\.relay\.example\.com 3600 TLSA \["3 1 1 [\da-f]{64}"\]$/m,
  },
  { command: /grep '"event":"accepted"'$/, shows: /you@example\.com/ },
  {
    command: /grep '"event":"refused"'$/,
    given: refuseOne,
    typed: 'again',
    shows: /"rule":"unknown_parameter"/,
  },
  {
    command: /^kubectl patch secret relay-users /,
    outcome: () =>
      assert.match(
        Buffer.from(
          get<{ data: { alice: string } }>('secret', 'relay-users', NAMESPACE).data.alice,
          'base64',
        ).toString(),
        /^SCRAM-SHA-256\$/,
      ),
  },
  { command: /^kubectl get --raw \/\.well-known\/openid-configuration$/, shows: /"issuer":/ },
  { command: /^kubectl get --raw .*\/proxy\/readyz$/, shows: /\S/ },
  {
    command: /^helm upgrade .*prometheusRule\.enabled=true/,
    given: installPrometheusRules,
    outcome: () =>
      assert.notEqual(kubectl(['get', 'prometheusrules', '-n', OPERATOR_NAMESPACE, '-o', 'name']), ''),
  },
  {
    command: /queue export ID > message\.eml$/,
    given: holdOne,
    outcome: (reader) => assert.match(reader.read('message.eml'), /^Subject: /m),
  },
  { command: /queue (?:hold|release) --domain partner\.example$/, given: () => queueOne() },
  { command: /queue remove ID --yes$/, given: holdOne },
  { command: /^kubectl get pvc /, typed: 'again', shows: /^spool-relay-0 +Bound/m },
  {
    command: /^kubectl scale mr\/relay -n mail --replicas=4$/,
    outcome: () => countPods(4),
  },
  { command: /--set image\.tag=NEW,relay\.image\.tag=OLD$/, outcome: () => untilTags(TAGS.new, TAGS.old) },
  { command: /--set relay\.image\.tag=NEW$/, outcome: () => untilTags(TAGS.new, TAGS.new) },
  { command: /^helm rollback /, outcome: () => untilTags(TAGS.new, TAGS.old) },
  {
    command: /^helm upgrade mailrelay OLD-CHART .*crds\.enabled=false$/,
    outcome: () =>
      assert.match(kubectl(['get', 'crd', 'mailrelays.mailrelay.dev', '-o', 'name']), /mailrelays/),
  },
];
