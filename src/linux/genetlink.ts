import { errnoOf, KernelError } from './errors.ts';
import { AttributeTable, text, u16 } from './netlink/attributes.ts';
import type { NetlinkMessage } from './netlink/message.ts';
import type { NetlinkRequest, NetlinkSocket } from './netlink/socket.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from './netlink/wire.ts';

/** The family that names all others, and its one command (linux/genetlink.h). */
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;

const controlAttributes = new AttributeTable('genetlink control', {
  familyId: [1, u16],
  familyName: [2, text],
});

const headerLength = 4;

/** struct genlmsghdr followed by attributes. */
export function genericPayload(
  command: number,
  version: number,
  fill: (writer: NlWriter) => void = () => undefined,
): Uint8Array {
  const writer = new NlWriter().u8(command).u8(version).u16(0);
  fill(writer);
  return writer.done();
}

/** A reader of the attributes after struct genlmsghdr. */
export function genericReader(
  protocol: string,
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): NlReader {
  const reader = new NlReader(protocol, payload, littleEndian);
  reader.skip('genetlink header', headerLength);
  return reader;
}

export function decodeFamilyId(payload: Uint8Array, littleEndian = hostIsLittleEndian): number {
  const reader = genericReader('genetlink control', payload, littleEndian);
  return controlAttributes.decode(reader).familyId ?? reader.fail('family id', 'is missing');
}

/**
 * The message type of a generic netlink family; undefined when this kernel has none of this name. The
 * kernel loads the module that provides it, where it can.
 */
export function findFamily(netlink: NetlinkSocket, name: string): number | undefined {
  const request: NetlinkRequest = {
    doing: { op: 'find netlink family', object: name },
    type: GENL_ID_CTRL,
    payload: genericPayload(CTRL_CMD_GETFAMILY, 1, (writer) => {
      controlAttributes.encode(writer, { familyName: name });
    }),
  };
  let replies: readonly NetlinkMessage[];
  try {
    replies = netlink.request(request);
  } catch (error) {
    if (error instanceof KernelError && error.errno === errnoOf.ENOENT) return undefined;
    throw error;
  }
  const [reply] = replies;
  return reply === undefined ? undefined : decodeFamilyId(reply.payload);
}
