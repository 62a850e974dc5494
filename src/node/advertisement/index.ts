export { createSpeaker, type Advertiser, type Speaker } from './speaker.ts';
