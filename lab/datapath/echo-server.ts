// Runs in a pod: says over HTTP which pod it is, on which node, and who asked. SIGTERM: no new connections, then the end.
import http from 'node:http';

const { POD = '', NODE = '' } = process.env;
const server = http.createServer((request, response) => {
  const source = (request.socket.remoteAddress ?? '').replace('::ffff:', '');
  response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ pod: POD, node: NODE, source }));
});
server.listen(8080);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
});
