// load.ts ADDRESS PORT: requests without a pause until the standard input ends, then what became of them as JSON.
import { connect, type Socket } from 'node:net';
import type { LoadFigures, LoadReport } from './protocol.ts';

/** Loops of each kind: a multiple of the back-ends, so that all have the same share. */
const loops = { fresh: 6, kept: 24 } as const;
/** A client that waits longer than this gives up. */
const patienceMs = 10_000;
const bodyEnd = '\r\n\r\nok';

const [, , address = '', port = ''] = process.argv;
let isOver = false;

interface Tally {
  requests: number;
  failed: number;
  longestMs: number;
}

/** Sends one request and reads the answer; false when there is none. */
function ask(socket: Socket, closes: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => finish(false), patienceMs);
    const finish = (answered: boolean): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      resolve(answered);
    };
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (text.endsWith(bodyEnd)) finish(true);
    };
    const onClose = (): void => finish(false);
    socket.on('data', onData).on('close', onClose);
    socket.write(`GET / HTTP/1.1\r\nHost: vip\r\n${closes ? 'Connection: close\r\n' : ''}\r\n`);
  });
}

function open(): Socket {
  const socket = connect({ host: address, port: Number(port), noDelay: true });
  socket.on('error', () => undefined);
  return socket;
}

async function loop(tally: Tally, keeps: boolean): Promise<void> {
  let socket: Socket | undefined;
  while (!isOver) {
    const started = performance.now();
    socket ??= open();
    const answered = await ask(socket, !keeps);
    tally.requests++;
    if (!answered) tally.failed++;
    tally.longestMs = Math.max(tally.longestMs, performance.now() - started);
    if (keeps && answered) continue;
    socket.destroy();
    socket = undefined;
  }
  socket?.destroy();
}

const fresh: Tally = { requests: 0, failed: 0, longestMs: 0 };
const kept: Tally = { requests: 0, failed: 0, longestMs: 0 };
const running = [
  ...Array.from({ length: loops.fresh }, () => loop(fresh, false)),
  ...Array.from({ length: loops.kept }, () => loop(kept, true)),
];
process.stdin.resume().on('end', () => {
  isOver = true;
});
await Promise.all(running);
const report: LoadReport = { fresh: fresh satisfies LoadFigures, kept: kept satisfies LoadFigures };
process.stdout.write(`${JSON.stringify(report)}\n`);
