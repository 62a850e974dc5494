// Runs on every node: answers each UDP probe with the probe's number and the node's name, whatever address it came to.
// Bound to the wildcard address on purpose: it must not matter to it whether the VIP is here.
import dgram from 'node:dgram';

const [, , name = '', port = ''] = process.argv;

let open = 0;
for (const type of ['udp4', 'udp6'] as const) {
  const socket = dgram.createSocket({ type, ipv6Only: type === 'udp6', recvBufferSize: 212_992 });
  socket.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  socket.on('message', (message, from) => {
    const answer = Buffer.concat([message.subarray(0, 4), Buffer.from(name)]);
    socket.send(answer, from.port, from.address, () => undefined);
  });
  socket.bind(Number(port), type === 'udp4' ? '0.0.0.0' : '::', () => {
    if (++open === 2) console.log('ready');
  });
}
