export * from './announce/index.ts';
export * from './arp/index.ts';
export * from './bfd/index.ts';
export * from './bgp/index.ts';
export * from './dhcp/index.ts';
export * from './frame/index.ts';
export * from './ndp/index.ts';
