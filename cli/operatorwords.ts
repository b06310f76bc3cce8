/**
 * What each event of the operator's log means, its usual cause and its cure.
 * docs/operator-metrics.md has the list of events, and a test compares. Pure data.
 */
import type { LogWord } from './lognews.ts';

export const OPERATOR_WORDS: Readonly<Record<string, LogWord>> = {
  api_server_away: {
    meaning: 'a request to the API server got no answer; relays serve on, and changes wait',
    cause: 'the control plane is away or overloaded, or the network is cut',
    cure: 'see the API server; the operator goes on by itself when it is back',
  },
  api_server_back: { meaning: 'the API server answers again' },
  applied: { meaning: 'an object was sent, because the live one differed from the wanted one' },
  caches_complete: { meaning: 'the operator knows all objects that it watches, and begins to reconcile' },
  cannot_lead: {
    meaning: 'the API server refuses the Lease, so this process cannot lead; it tries on',
    cause: 'a right on leases or the namespace of the operator is missing, or a webhook refuses them',
    cure: 'see "message" in the line; install the chart again, which has all rights',
  },
  cannot_watch: {
    meaning: 'the operator cannot watch a kind of objects, so it does not see their changes',
    cause: 'a right or a CRD is missing, or the API server is away',
    cure: 'see "message" in the line; install the chart again, which has all rights and CRDs',
  },
  deleted: { meaning: 'an object of ours that is no longer wanted was deleted' },
  event: { meaning: 'a transition was told as an event of the MailRelay; explain the word of "reason"' },
  event_not_written: {
    meaning: 'an event of a MailRelay could not be written; nothing waits for it',
    cause: 'the right to write events is missing, or the namespace ends',
    cure: 'see "message" in the line, and the rights of the operator',
  },
  leading: { meaning: 'this process holds the Lease, so it is the one that acts' },
  lease_lost: {
    meaning: 'the operator could not renew its Lease; it ends, and is started again',
    cause: 'the API server is away or slow, or the operator has too little CPU',
    cure: 'none is needed; where it comes again, see the API server and the CPU of the operator',
  },
  left_alone: {
    meaning: 'another installation looks after this MailRelay, so ours leaves it alone',
    cause: 'two installations have the same class',
    cure: 'set spec.className, or another class for one of them',
  },
  namespace_away: {
    meaning: 'a namespace of --namespaces cannot be read; its relays serve on, and changes wait',
    cause: 'the namespace is gone, or its RoleBinding is',
    cure: 'make the namespace or its RoleBinding again, or remove it from watchNamespaces',
  },
  namespace_back: { meaning: 'a namespace of --namespaces can be read again' },
  patched: { meaning: 'some fields of an object were changed, such as a status' },
  reconcile_failed: {
    meaning: 'the operator could not do its work on a MailRelay; it tries again',
    cause: 'the API server refused an object, such as by a quota, a webhook or a missing right',
    cure: 'see "message" and "cure" in the line, and MESSAGE in "kubectl get mr -A -o wide"',
  },
  reconciled: { meaning: 'a look at a MailRelay ended and wrote something' },
  stopped: { meaning: 'the operator has given up the Lease, and ends' },
  stopping: { meaning: 'the operator was told to stop, and waits for the writes that are under way' },
};
