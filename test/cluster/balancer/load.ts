// A client process: a new TLS connection for each request, at a steady rate, until standard input ends.
// Prints one JSON line: how many, which failed and when, the longest time one took.
import * as https from 'node:https';

const [host = '', port = '6443', perSecond = '100'] = process.argv.slice(2);
const failures: { readonly at: number; readonly why: string }[] = [];
let sent = 0;
let longestMs = 0;
let open = 0;

function one(): void {
  const started = Date.now();
  sent += 1;
  open += 1;
  const finish = (why?: string): void => {
    open -= 1;
    longestMs = Math.max(longestMs, Date.now() - started);
    if (why !== undefined) failures.push({ at: started, why });
  };
  const options = { host, port, path: '/readyz', agent: false, rejectUnauthorized: false, timeout: 5000 };
  const request = https.get(options, (answer) => {
    answer.resume();
    answer.on('end', () => {
      finish(answer.statusCode === 200 ? undefined : `status ${answer.statusCode ?? 0}`);
    });
    answer.on('error', () => undefined);
  });
  request.on('timeout', () => request.destroy(new Error('no answer within 5 s')));
  request.on('error', (error) => {
    finish(error.message);
  });
}

const started = Date.now();
const pace = setInterval(() => {
  // Catches up after a late timer, but never with more than a hundred open at once.
  const due = ((Date.now() - started) / 1000) * Number(perSecond);
  while (sent < due && open < 100) one();
}, 2);
console.log('ready');
process.stdin.resume();
process.stdin.on('end', () => {
  clearInterval(pace);
  setTimeout(() => {
    console.log(JSON.stringify({ sent, failures, longestMs }));
    process.exit(0);
  }, 1500);
});
