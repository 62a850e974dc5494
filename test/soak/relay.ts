// Stands for the API server of a node: what connects to the port is carried to the embedded API server, on a machine of its own.
import { connect, createServer } from 'node:net';

const [, , port = '', host = '', targetPort = ''] = process.argv;

createServer({ allowHalfOpen: true }, (client) => {
  const server = connect({ host, port: Number(targetPort), allowHalfOpen: true });
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
  }
}).listen(Number(port), '::');
