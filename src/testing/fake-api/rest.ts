import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ApiFailure, alreadyExists, badRequest, conflict, invalid, notFound } from './failure.ts';
import { child, isJson, text } from './json.ts';
import type { Json } from './json.ts';
import { applyPatch, jsonPatch, mergePatch } from './patch.ts';
import type { Route } from './route.ts';
import type { ObjectStore } from './store.ts';

export interface Writer {
  /** `fieldManager`, or the first word of the user agent: ends up in managedFields. */
  readonly manager: string;
}

export interface Outcome {
  readonly status: 200 | 201;
  readonly object: Json;
}

/** Kinds whose status is only written through its own path (of those the fake meets). */
const withoutStatus = new Set(['leases', 'endpoints', 'endpointslices', 'configmaps', 'secrets', 'events']);
/** Kinds that refuse an update without resourceVersion. */
const conditionalOnly = new Set(['leases']);
/** Kinds that an update creates when they are missing. */
const createdByUpdate = new Set(['leases', 'services', 'endpoints', 'events']);
const validName = /^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/;

/** The rules of the generic registry: creation, optimistic update, patch, deletion with finalizers. */
export class RestRules {
  private readonly store: ObjectStore;

  constructor(store: ObjectStore) {
    this.store = store;
  }

  get(route: Route): Json {
    this.checkSubresource(route);
    const found = this.store.get(route.collection, keyOf(route));
    if (found === undefined) throw notFound(route.resource, route.name);
    return found;
  }

  create(route: Route, body: Json, writer: Writer): Outcome {
    const metadata = child(body, 'metadata');
    const prefix = text(metadata, 'generateName');
    const name = text(metadata, 'name') || (prefix === '' ? '' : prefix + randomUUID().slice(0, 5));
    if (!validName.test(name)) throw invalid(route.resource, name, `metadata.name: Invalid value: "${name}"`);
    this.checkIdentity({ ...route, name }, body);
    if (text(metadata, 'resourceVersion') !== '') {
      // The real one answers 500 here, without a reason.
      throw new ApiFailure(500, '', 'resourceVersion should not be set on objects to be created');
    }
    const key = keyOf({ ...route, name });
    if (this.store.get(route.collection, key) !== undefined) throw alreadyExists(route.resource, name);
    const spec: Json = hasStatus(route) && route.plural !== 'nodes' ? without(body, 'status') : body;
    const object = this.store.write(route.collection, key, (revision) => ({
      kind: route.kind ?? 'Unknown',
      apiVersion: apiVersion(route),
      ...spec,
      metadata: {
        ...metadata,
        name,
        ...(route.namespace === '' ? {} : { namespace: route.namespace }),
        uid: randomUUID(),
        resourceVersion: String(revision),
        generation: 1,
        creationTimestamp: now(),
        managedFields: managedFields(route, writer, 'Update'),
      },
    }));
    return { status: 201, object };
  }

  update(route: Route, body: Json, writer: Writer): Outcome {
    const metadata = child(body, 'metadata');
    this.checkIdentity(route, body);
    const isMissing = this.store.get(route.collection, keyOf(route)) === undefined;
    if (isMissing && createdByUpdate.has(route.plural) && route.subresource === '') {
      return this.create(route, { ...body, metadata: without(metadata, 'resourceVersion') }, writer);
    }
    const before = this.get(route);
    const version = text(metadata, 'resourceVersion');
    if (version === '' && conditionalOnly.has(route.plural)) {
      throw invalid(
        route.resource,
        route.name,
        'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      );
    }
    const modified =
      'the object has been modified; please apply your changes to the latest version and try again';
    if (version !== '' && version !== text(child(before, 'metadata'), 'resourceVersion')) {
      throw conflict(route.resource, route.name, modified);
    }
    return { status: 200, object: this.replace(route, before, body, writer) };
  }

  patch(route: Route, type: string, body: unknown, writer: Writer): Outcome {
    const isApply = type === 'application/apply-patch+yaml';
    if (isApply && writer.manager === '')
      throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value');
    const key = keyOf(route);
    const before = this.store.get(route.collection, key);
    if (before === undefined && isApply && isJson(body) && route.subresource === '')
      return this.create(route, body, writer);
    const patched = patchWith(type, this.get(route), body);
    if (!isJson(patched)) throw badRequest('the patch leaves no object');
    return this.update(route, patched, writer);
  }

  delete(route: Route, options: Json): Json {
    const before = this.get(route);
    const metadata = child(before, 'metadata');
    const preconditions = child(options, 'preconditions');
    for (const field of ['uid', 'resourceVersion']) {
      const wanted = text(preconditions, field);
      if (wanted !== '' && wanted !== text(metadata, field)) {
        throw conflict(
          route.resource,
          route.name,
          `the ${field} in the precondition (${wanted}) does not match`,
        );
      }
    }
    if (hasFinalizers(metadata)) {
      if (text(metadata, 'deletionTimestamp') !== '') return before;
      return this.write(route, before, { ...metadata, deletionTimestamp: now() });
    }
    return this.write(route, before, metadata, true);
  }

  private replace(route: Route, before: Json, body: Json, writer: Writer): Json {
    const old = child(before, 'metadata');
    const isStatus = route.subresource === 'status';
    const keepsStatus = !isStatus && hasStatus(route);
    const content: Json = isStatus ? { ...before, status: body.status } : { ...body };
    const merged = keepsStatus ? withStatusOf(content, before) : content;
    // The status path keeps spec, and takes metadata with the status.
    const wanted = child(body, 'metadata');
    const metadata: Json = {
      ...wanted,
      name: old.name,
      ...(old.namespace === undefined ? {} : { namespace: old.namespace }),
      uid: old.uid,
      creationTimestamp: old.creationTimestamp,
      ...(old.deletionTimestamp === undefined ? {} : { deletionTimestamp: old.deletionTimestamp }),
      generation: nextGeneration(before, merged),
      resourceVersion: old.resourceVersion,
      managedFields: old.managedFields,
    };
    const object: Json = { kind: before.kind, apiVersion: before.apiVersion, ...merged, metadata };
    if (isDeepStrictEqual(object, before)) return before; // a write that changes nothing makes no new version
    const isGone = metadata.deletionTimestamp !== undefined && !hasFinalizers(metadata);
    return this.write(
      route,
      object,
      { ...metadata, managedFields: managedFields(route, writer, 'Update') },
      isGone,
    );
  }

  private write(route: Route, object: Json, metadata: Json, deletes = false): Json {
    return this.store.write(
      route.collection,
      keyOf(route),
      (revision) => ({ ...object, metadata: { ...metadata, resourceVersion: String(revision) } }),
      deletes,
    );
  }

  private checkSubresource(route: Route): void {
    if (route.subresource === '' || (route.subresource === 'status' && hasStatus(route))) return;
    throw notFound(`${route.resource}/${route.subresource}`, route.name);
  }

  /** Body and URL must speak of the same object. */
  private checkIdentity(route: Route, body: Json): void {
    const metadata = child(body, 'metadata');
    const name = text(metadata, 'name');
    if (name !== '' && name !== route.name) {
      throw badRequest(`the name of the object (${name}) does not match the name on the URL (${route.name})`);
    }
    const namespace = text(metadata, 'namespace');
    if (namespace !== '' && namespace !== route.namespace) {
      throw badRequest(
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    }
    const kind = text(body, 'kind');
    if (route.kind !== undefined && kind !== '' && kind !== route.kind) {
      throw badRequest(`${kind} in version "${route.version}" cannot be handled as a ${route.kind}`);
    }
    const uid = text(metadata, 'uid');
    const existing = this.store.get(route.collection, keyOf(route));
    const known = text(child(existing ?? {}, 'metadata'), 'uid');
    // An update that would create has this precondition too, so a deleted object is a conflict.
    const isChecked = existing !== undefined || createdByUpdate.has(route.plural);
    if (uid !== '' && uid !== known && isChecked) {
      throw conflict(
        route.resource,
        route.name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${known}`,
      );
    }
  }
}

export function keyOf(route: Pick<Route, 'namespace' | 'name'>): string {
  return `${route.namespace}/${route.name}`;
}

function patchWith(type: string, before: Json, body: unknown): unknown {
  if (type === 'application/json-patch+json') return jsonPatch(before, body);
  if (type === 'application/apply-patch+yaml') return applyPatch(before, body);
  return mergePatch(before, body);
}

function hasStatus(route: Route): boolean {
  return !withoutStatus.has(route.plural);
}

function hasFinalizers(metadata: Json): boolean {
  return Array.isArray(metadata.finalizers) && metadata.finalizers.length > 0;
}

function withStatusOf(content: Json, before: Json): Json {
  return before.status === undefined ? without(content, 'status') : { ...content, status: before.status };
}

function without(object: Json, key: string): Json {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}

function nextGeneration(before: Json, after: Json): number {
  const { generation } = child(before, 'metadata');
  const last = typeof generation === 'number' ? generation : 0;
  return isDeepStrictEqual(before.spec, after.spec) ? last : last + 1;
}

function apiVersion(route: Route): string {
  return route.group === '' ? route.version : `${route.group}/${route.version}`;
}

function managedFields(route: Route, writer: Writer, operation: string): readonly Json[] {
  const { manager } = writer;
  return [
    { manager, operation, apiVersion: apiVersion(route), time: now(), fieldsType: 'FieldsV1', fieldsV1: {} },
  ];
}

function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
