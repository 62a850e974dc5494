import { errnoOf, KernelError } from '../errors.ts';
import type { Doing } from '../sys.ts';
import * as nl from './message.ts';
import type { NetlinkMessage } from './message.ts';

export interface NetlinkRequest {
  readonly doing: Doing;
  readonly type: number;
  /** Besides NLM_F_REQUEST and NLM_F_ACK, which are added. */
  readonly flags?: number;
  readonly payload: Uint8Array;
  /** False for messages the kernel never acknowledges (the ends of an nfnetlink batch). */
  readonly ack?: boolean;
}

export interface NetlinkOutcome {
  readonly error: KernelError | undefined;
  readonly replies: readonly NetlinkMessage[];
}

const noReplies: readonly NetlinkMessage[] = [];

/** What the kernel answers to requests that were sent together, sorted by the request that each message answers. */
export class Answers {
  private readonly requests: readonly NetlinkRequest[];
  /** The sequence number of the first request; the others follow. */
  private readonly first: number;
  private readonly errors = new Map<number, KernelError>();
  private readonly replies = new Map<number, NetlinkMessage[]>();
  /** 1: still to be acknowledged. */
  private readonly unacknowledged: Uint8Array;
  private readonly acks: 'each' | 'last';
  private awaited = 0;

  constructor(requests: readonly NetlinkRequest[], first: number, acks: 'each' | 'last') {
    this.requests = requests;
    this.first = first;
    this.acks = acks;
    this.unacknowledged = new Uint8Array(requests.length);
    const last = requests.findLastIndex(({ ack = true }) => ack);
    requests.forEach(({ ack = true }, i) => {
      if (!ack || (acks === 'last' && i < last)) return;
      this.unacknowledged[i] = 1;
      this.awaited++;
    });
  }

  /** This request is to be acknowledged, and has not been. */
  awaits(index: number): boolean {
    return this.unacknowledged[index] === 1;
  }

  get isWaiting(): boolean {
    return this.awaited > 0;
  }

  outcomes(): readonly NetlinkOutcome[] {
    const isLast = this.acks === 'last';
    return this.requests.map((request, i) => {
      const isLost = isLast ? this.isWaiting : this.awaits(i);
      return {
        error: this.errors.get(i) ?? (isLost ? unanswered(request) : undefined),
        replies: this.replies.get(i) ?? noReplies,
      };
    });
  }

  take(message: NetlinkMessage): void {
    const index = message.sequence - this.first;
    const request = this.requests[index];
    // An answer to an earlier request whose caller gave up.
    if (request === undefined) return;
    if (message.type !== nl.NLMSG_ERROR && message.type !== nl.NLMSG_DONE) {
      const copy = { ...message, payload: message.payload.slice() };
      this.replies.set(index, [...(this.replies.get(index) ?? []), copy]);
      return;
    }
    const { errno, kernelText } = nl.decodeAck(message);
    if (errno !== 0) this.errors.set(index, new KernelError({ ...request.doing, errno, kernelText }));
    if (this.awaits(index)) this.awaited--;
    this.unacknowledged[index] = 0;
  }
}

function unanswered({ doing }: NetlinkRequest): KernelError {
  return new KernelError({ ...doing, errno: errnoOf.EAGAIN, kernelText: 'the kernel did not answer' });
}
