export { LocalLinks } from './local-links.ts';
export { ServicesOperator, type ServicesParts } from './operator.ts';
export { NodeAddresses, projectNodeAddresses } from './node-addresses.ts';
export type { ResolveName } from './names.ts';
export { projectService, serviceNameLabel, SliceProjector } from './project.ts';
export { createStatusWrite } from './status-patch.ts';
export { QuietStatus } from './quiet-status.ts';
export { StatusWriter, type StatusWriterCounts } from './status-writer.ts';
export type * from './types.ts';
