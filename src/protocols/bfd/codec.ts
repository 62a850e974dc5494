import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { bfdStates, type BfdPacket } from './types.ts';

const VERSION = 1;
/** Of a packet without authentication. */
const PACKET_BYTES = 24;

const POLL = 0x20;
const FINAL = 0x10;
const CONTROL_PLANE_INDEPENDENT = 0x08;
const AUTHENTICATION = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;

/** One BFD Control packet (RFC 5880 4.1), the payload of a UDP datagram. */
export function encodeBfd(packet: BfdPacket): Uint8Array {
  const flags =
    (packet.poll ? POLL : 0) |
    (packet.final ? FINAL : 0) |
    (packet.controlPlaneIndependent ? CONTROL_PLANE_INDEPENDENT : 0) |
    (packet.demand ? DEMAND : 0);
  return new ByteWriter()
    .u8((VERSION << 5) | packet.diagnostic)
    .u8((bfdStates.indexOf(packet.state) << 6) | flags)
    .u8(packet.detectMultiplier)
    .u8(PACKET_BYTES)
    .u32(packet.myDiscriminator)
    .u32(packet.yourDiscriminator)
    .u32(packet.desiredMinTxUs)
    .u32(packet.requiredMinRxUs)
    .u32(packet.requiredMinEchoRxUs)
    .done();
}

/**
 * Reads a datagram with the checks of RFC 5880 6.8.6 that need no session. What follows the packet is ignored.
 * Throws DecodeError, also for a packet with authentication: none is ever agreed on here.
 */
export function decodeBfd(datagram: Uint8Array): BfdPacket {
  const reader = new ByteReader('bfd', datagram);
  const first = reader.u8('version');
  if (first >> 5 !== VERSION) reader.fail('version', `${first >> 5} is not ${VERSION}`);
  const second = reader.u8('flags');
  const state = bfdStates[second >> 6] ?? 'adminDown';
  const detectMultiplier = reader.u8('detect multiplier');
  if (detectMultiplier === 0) reader.fail('detect multiplier', 'is 0');
  const length = reader.u8('length');
  if (length < PACKET_BYTES || length > datagram.length)
    reader.fail('length', `${length} of ${datagram.length} bytes`);
  if ((second & MULTIPOINT) !== 0) reader.fail('flags', 'multipoint');
  if ((second & AUTHENTICATION) !== 0) reader.fail('flags', 'authentication is not in use');
  const myDiscriminator = reader.u32('my discriminator');
  if (myDiscriminator === 0) reader.fail('my discriminator', 'is 0');
  const yourDiscriminator = reader.u32('your discriminator');
  if (yourDiscriminator === 0 && (state === 'init' || state === 'up'))
    reader.fail('your discriminator', `is 0 in state ${state}`);
  return {
    diagnostic: first & 0x1f,
    state,
    poll: (second & POLL) !== 0,
    final: (second & FINAL) !== 0,
    controlPlaneIndependent: (second & CONTROL_PLANE_INDEPENDENT) !== 0,
    demand: (second & DEMAND) !== 0,
    detectMultiplier,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTxUs: reader.u32('desired min TX interval'),
    requiredMinRxUs: reader.u32('required min RX interval'),
    requiredMinEchoRxUs: reader.u32('required min echo RX interval'),
  };
}
