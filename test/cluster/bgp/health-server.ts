// Arguments: port, file with the statuses to answer with (comma list, over and over), certificate and key for HTTPS.
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

const [port, file = '', cert, key] = process.argv.slice(2);
let statuses = '';
let next = 0;

const answer: RequestListener = (_request, response) => {
  const now = readFileSync(file, 'utf8');
  if (now !== statuses) [statuses, next] = [now, 0];
  const all = statuses.split(',');
  const status = Number(all[next++ % all.length]);
  console.log(`answer ${status}`);
  response.writeHead(status).end();
};

const server =
  cert === undefined || key === undefined
    ? createServer(answer)
    : createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer);
server.listen(Number(port), '127.0.0.1', () => {
  console.log('listening');
});
