// What "helm test" runs: a next hop that takes mail, and a client that sends a message to it through the relay, with
// STARTTLS and a verified certificate. Relay and certificate may still be on their way: it tries again until the deadline.
const { spawn } = require('node:child_process');
const { SMTPServer } = require('smtp-server');

const [relay, ca, port] = process.argv.slice(1);
const deadline = Date.now() + 180_000;
const subject = `helm test ${deadline}`;
let taken = false;

function take(stream, _session, done) {
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  stream.on('end', () => {
    taken ||= text.includes(subject);
    done();
  });
}

function send() {
  const message = ['--from', 'helm@test.invalid', '--to', 'helm@test.invalid', '--subject', subject];
  const args = ['cli/main.ts', 'send', '--server', `${relay}:25`, '--ca', ca, ...message];
  spawn(process.execPath, args, { stdio: 'inherit' }).on('exit', judge);
}

function judge(code) {
  if (code === 0 && taken) {
    console.log('The message went through the relay to its next hop');
    process.exit(0);
  }
  if (Date.now() > deadline) {
    console.log(`No message went through ${relay}: see "kubectl describe mr" in this namespace`);
    process.exit(1);
  }
  setTimeout(send, 2_000);
}

new SMTPServer({ disabledCommands: ['AUTH'], onData: take }).listen(Number(port), send);
