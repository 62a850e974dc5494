// load.ts HOST PORT PER_SECOND HELD: a client process, until its standard input ends.
// HELD connections that say nothing, and PER_SECOND new ones, each with one question that needs no cryptography:
// the server of a TLS port says in plain words that it wants TLS. Prints `ready` with the ports of those
// that are held, and in the end one JSON line: how many, which failed and when, which of the held ones ended.
import { connect, type Socket } from 'node:net';

const [host = '', port = '6443', perSecond = '100', held = '0'] = process.argv.slice(2);
const question = 'GET /readyz HTTP/1.0\r\n\r\n';
const answerBegins = 'HTTP/1.0 400';
/** Those that are on a server that died hear so at once; the others wait as long as a busy machine takes. */
const patienceMs = 60_000;
const mostAtOnce = 4000;

const failures: { readonly at: number; readonly why: string }[] = [];
const ended: number[] = [];
let sent = 0;
let open = 0;
let longestMs = 0;
let skipped = 0;

function ask(): void {
  const started = Date.now();
  sent += 1;
  open += 1;
  let text = '';
  let why = 'ended without an answer';
  const socket = connect({ host, port: Number(port), timeout: patienceMs });
  socket.on('connect', () => socket.write(question));
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (text.length >= answerBegins.length) socket.destroy();
  });
  socket.on('timeout', () => {
    why = 'no answer in time';
    socket.destroy();
  });
  socket.on('error', (error) => {
    why = error.message;
  });
  socket.on('close', () => {
    open -= 1;
    longestMs = Math.max(longestMs, Date.now() - started);
    if (!text.startsWith(answerBegins)) failures.push({ at: started, why });
  });
}

function hold(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port: Number(port) });
    socket.on('connect', () => {
      const own = socket.localPort ?? 0;
      socket.on('close', () => ended.push(own));
      resolve(own);
    });
    socket.on('error', reject);
    socket.resume();
  });
}

const ports = await Promise.all(Array.from({ length: Number(held) }, hold));
const started = Date.now();
const pace = setInterval(() => {
  // Catches up after a late timer.
  for (const due = ((Date.now() - started) / 1000) * Number(perSecond); sent + skipped < due;) {
    if (open < mostAtOnce) ask();
    else skipped += 1;
  }
}, 2);
console.log(`ready ${ports.join(' ')}`);
process.stdin.resume();
process.stdin.on('end', () => {
  clearInterval(pace);
  const perSecond = Math.round((sent / (Date.now() - started)) * 1000);
  setInterval(() => {
    if (open > 0) return;
    console.log(JSON.stringify({ sent, perSecond, skipped, failures, ended, longestMs }));
    process.exit(0);
  }, 20);
});
