import { DecodeError } from '../../lib/errors.ts';
import type { Notification } from './types.ts';

/** RFC 4271 4.5 error codes. */
export const errorCode = { header: 1, open: 2, update: 3, hold: 4, machine: 5, cease: 6 } as const;

/** A message that is not what the protocol allows, and what the sender has to be told about it. */
export class BgpDecodeError extends DecodeError {
  readonly notification: Notification;

  constructor(field: string, offset: number, detail: string, notification: Notification) {
    super('bgp', field, offset, detail);
    this.notification = notification;
  }
}

const codes: Readonly<Record<number, string>> = {
  1: 'message header error',
  2: 'OPEN message error',
  3: 'UPDATE message error',
  4: 'hold timer expired',
  5: 'finite state machine error',
  6: 'cease',
  7: 'ROUTE-REFRESH message error',
};

/** RFC 4271 4.5, RFC 4486, RFC 5492, RFC 6608, RFC 8538, RFC 9384. */
const subcodes: Readonly<Record<number, readonly string[]>> = {
  1: ['', 'connection not synchronized', 'bad message length', 'bad message type'],
  2: [
    '',
    'unsupported version number',
    'bad peer AS',
    'bad BGP identifier',
    'unsupported optional parameter',
    '',
    'unacceptable hold time',
    'unsupported capability',
  ],
  3: ['', 'malformed attribute list'],
  5: [
    '',
    'unexpected message in OpenSent',
    'unexpected message in OpenConfirm',
    'unexpected message in Established',
  ],
  6: [
    '',
    'maximum number of prefixes reached',
    'administrative shutdown',
    'peer de-configured',
    'administrative reset',
    'connection rejected',
    'other configuration change',
    'connection collision resolution',
    'out of resources',
    'hard reset',
    'BFD down',
  ],
};

/** RFC 9003: subcodes of Cease with which an administrator may say why. */
const withWords: readonly number[] = [2, 4];
const utf8 = new TextDecoder();

/** What a NOTIFICATION says, for people: `OPEN message error, bad peer AS (2/2)`. */
export function describeNotification(notification: Notification): string {
  const { code, subcode } = notification;
  const parts = [codes[code] ?? 'unknown error', subcodes[code]?.[subcode] ?? ''];
  const words = wordsOf(notification);
  const said = words === '' ? '' : `: ${JSON.stringify(words)}`;
  return `${parts.filter((part) => part !== '').join(', ')} (${code}/${subcode})${said}`;
}

/** A length octet and so much UTF-8; what is not is as good as nothing said. */
function wordsOf({ code, subcode, data }: Notification): string {
  const [length = 0] = data;
  if (code !== errorCode.cease || !withWords.includes(subcode) || length >= data.length) return '';
  return utf8.decode(data.subarray(1, 1 + length));
}
