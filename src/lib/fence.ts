/** Proof of tenure, checked at the last moment by whoever puts a VIP on the wire. */
export interface Fence {
  /**
   * True while this node may act as holder, by the local monotonic clock alone: it turns false at
   * the renew deadline even if no timer has run (a paused process, a blocked loop).
   */
  holds(): boolean;
  /** Milliseconds until then, as far as it is known now; absent where there is no end. */
  remainingMs?(): number;
  /** The tenure began a moment ago with a record that its holder had given up in good order: no other node has the VIPs. */
  wasHandedOver?(): boolean;
}
