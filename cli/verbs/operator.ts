/** The verb `operator`. A setting that the chart sets has no default here, because two defaults could differ. */
import { Option } from 'commander';
import { USER_IDS } from '#crds/workload.ts';
import { untilStopSignal } from '../signals.ts';
import { parseNumber, parsePort, splitList } from '../usage.ts';
import { Verb } from '../verb.ts';

export const verb = new Verb('operator')
  .summary('the operator')
  .description(
    'Reconciles MailRelays: makes relay pods, asks cert-manager for certificates, and reports what the pods serve.',
  )
  .helpGroup('Used by the image:')
  .addOption(
    new Option('--relay-image <image>', 'image of the relay pods').env('RELAY_IMAGE').makeOptionMandatory(),
  )
  .addOption(
    new Option('--relay-image-pull-policy <policy>', 'when nodes pull that image')
      .choices(['Always', 'IfNotPresent', 'Never'])
      .default('IfNotPresent'),
  )
  .option('--image-pull-secrets <names>', 'pull secrets of the relay pods, by commas', splitList, [])
  .addOption(
    new Option(
      '--user-ids <who>',
      'who names user and group of the relay pods: the operator, or the cluster, as OpenShift does',
    )
      .choices(USER_IDS)
      .default('Fixed'),
  )
  .option(
    '--namespaces <names>',
    'reconcile only in these namespaces, by commas (default: all)',
    splitList,
    [],
  )
  .option(
    '--namespace <name>',
    'namespace of the operator and of its Lease (default: that of its ServiceAccount)',
  )
  .option(
    '--release <name>',
    'with the namespace the name of this installation, on all that it makes: another installation leaves that alone',
    'mailrelay-operator',
  )
  .option('--lease <name>', 'name of its Lease (default: that of the release)')
  .option('--class-name <name>', 'looks after MailRelays with this spec.className', 'mailrelay')
  .option('--no-default-class', 'not after those without one')
  .option('--kubeconfig <file>', 'how to reach the API server (default: the ServiceAccount)')
  .option('--health-port <port>', 'port of /healthz, /readyz and /metrics', parsePort, 8080)
  .option('--workers <count>', 'MailRelays worked on at the same time', parseNumber(1, 100), 8)
  .option('--rolling-relays <count>', 'relays whose pods are replaced at a time', parseNumber(1), 5)
  .option('--no-leader-election', 'for a single replica that is run by hand')
  .does(async () => {
    const { runOperator } = await import('#operator/main.ts');
    return (options: Parameters<typeof runOperator>[0]) => runOperator(options, untilStopSignal);
  });
