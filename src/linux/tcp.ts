import { Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { familyOf, parseIp, type Ip } from '../lib/ip.ts';
import { KernelError } from './errors.ts';
import { bindToDevice, setHopLimit, socketAddress } from './internet-socket.ts';
import * as sys from './sys.ts';
import type { TcpConnection, TcpHandlers, TcpTarget } from './types.ts';

/** Numbers from the kernel's headers. */
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_MD5SIG = 14;
/** TCP_MD5SIG_MAXKEYLEN. */
const MAX_MD5_PASSWORD_BYTES = 80;

/**
 * Begins a TCP connection whose options (RFC 2385 signature, hop limit, device, source address) are set
 * before its first packet leaves, which `net.connect` cannot do. Throws KernelError when it cannot even begin.
 */
export function connectTcp(target: TcpTarget, handlers: TcpHandlers): TcpConnection {
  const { remote, port } = target;
  const doing = { op: 'connect', object: `to ${remote} port ${port}` };
  const family = familyOf(remote) === 4 ? sys.AF_INET : sys.AF_INET6;
  const fd = sys.socket(doing, family, sys.SOCK_STREAM, 0);
  let socket: Socket;
  try {
    prepare(doing, fd, target);
    sys.connect(doing, fd, socketAddress(remote, port, target.scopeId));
    socket = new Socket({ fd });
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  return new OpenTcpConnection(socket, handlers, doing);
}

function prepare(doing: sys.Doing, fd: number, target: TcpTarget): void {
  sys.setSocketNumber(doing, fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (target.ttl !== undefined) setHopLimit(doing, fd, familyOf(target.remote), target.ttl);
  if (target.md5Password !== undefined)
    sys.setSocketOption(doing, fd, IPPROTO_TCP, TCP_MD5SIG, signature(target.remote, target.md5Password));
  if (target.device !== undefined) bindToDevice(doing, fd, target.device);
  if (target.localAddress !== undefined)
    sys.bind(doing, fd, socketAddress(target.localAddress, 0, target.scopeId));
}

/** struct tcp_md5sig: a sockaddr_storage, flags, prefix length, key length, ifindex, key. */
function signature(remote: Ip, password: string): Uint8Array {
  const key = Buffer.from(password);
  if (key.length > MAX_MD5_PASSWORD_BYTES)
    throw new RangeError(`a TCP MD5 password has at most ${MAX_MD5_PASSWORD_BYTES} bytes`);
  const bytes = new Uint8Array(216);
  bytes.set(socketAddress(remote, 0));
  new Uint16Array(bytes.buffer, 130)[0] = key.length;
  bytes.set(key, 136);
  return bytes;
}

class OpenTcpConnection implements TcpConnection {
  private readonly socket: Socket;
  private isClosed = false;

  constructor(socket: Socket, handlers: TcpHandlers, doing: sys.Doing) {
    this.socket = socket;
    let why = 'closed by the peer';
    let isConnected = false;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Node names what it was about to do: of an attempt that fails later, to read or to write.
      const isAttempt = !isConnected && error.errno !== undefined;
      why = isAttempt ? new KernelError({ ...doing, errno: -(error.errno ?? 0) }).message : messageOf(error);
    });
    socket.on('close', () => {
      if (this.isClosed) return;
      this.isClosed = true;
      handlers.closed(why);
    });
    socket.on('data', (bytes: Buffer) => {
      if (!this.isClosed) handlers.data(new Uint8Array(bytes));
    });
    // The kernel accepts no byte, not even none, before the handshake is over: this is how a descriptor
    // that was connected elsewhere tells that it is.
    socket.write(new Uint8Array(), (error) => {
      if ((error ?? undefined) !== undefined || this.isClosed) return;
      // A link-local one comes with its link: fe80::1%eth0.
      const [address = ''] = (socket.localAddress ?? '').split('%');
      const local = parseIp(address);
      if (local === undefined) socket.destroy(new Error('connected without a local address'));
      else {
        isConnected = true;
        handlers.connected(local);
      }
    });
  }

  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (!this.isClosed) this.socket.write(bytes);
  }

  end(): Promise<void> {
    this.isClosed = true;
    return new Promise((resolve) => {
      if (this.socket.destroyed) {
        resolve();
        return;
      }
      this.socket.once('close', () => {
        resolve();
      });
      // Whatever the other side still says is of no interest, but must be read for its FIN to be seen.
      this.socket.resume();
      this.socket.end();
    });
  }

  destroy(): void {
    this.isClosed = true;
    this.socket.destroy();
  }
}
