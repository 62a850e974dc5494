export { createSpeaker, type Advertiser, type Speaker } from './speaker.ts';
export type { PeerConfig, PeerStatus, SpeakerOptions } from './types.ts';
