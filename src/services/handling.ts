import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Catalogue } from './catalogue.ts';
import { failureOf, type Advert, type Judge, type Verdict } from './judge.ts';
import type { Notices } from './notices.ts';
import type { Offers } from './offers.ts';
import type { Reporting } from './reporting.ts';
import type { Settling } from './settling.ts';
import type { Tenure } from './tenure.ts';
import type { ReconcileFailure, ServiceKey, ServicesObserver } from './types.ts';

export interface HandlingParts {
  readonly catalogue: Catalogue;
  readonly settling: Settling;
  readonly offers: Offers;
  readonly judge: Judge;
  readonly notices: Notices;
  readonly tenure: Tenure;
  readonly reporting: Reporting;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ServicesObserver;
}

/**
 * What is done about one Service. A verdict stands until something that it depends on has changed, and who holds its
 * lease is not of that kind: a node that takes a thousand Services over does not judge them again.
 */
export class Handling {
  private readonly parts: HandlingParts;
  /** Verdicts of Services that wait for their lease. */
  private readonly standing = new Map<ServiceKey, Advert>();

  constructor(parts: HandlingParts) {
    this.parts = parts;
  }

  /** Another verdict may be right now. */
  changed(key: ServiceKey): void {
    this.standing.delete(key);
  }

  /** A failure with one Service is that Service's alone. */
  handle(key: ServiceKey): void {
    const { catalogue, clock, log, observer } = this.parts;
    const standing = this.standing.get(key);
    const start = standing === undefined ? clock.now() : undefined;
    const done = (failure: ReconcileFailure | undefined): void => {
      const seconds = start === undefined ? 0 : (clock.now() - start) / 1000;
      observer.reconciled?.(key, seconds, failure);
    };
    try {
      if (standing !== undefined) this.carry(key, standing);
      else done(failureOf(this.reconcile(key)));
    } catch (error) {
      log.error('a Service could not be handled', { service: key, error: messageOf(error) });
      done(catalogue.get(key) === undefined ? 'delete_service' : 'service_context');
    }
  }

  private reconcile(key: ServiceKey): Verdict | undefined {
    const { catalogue, judge, notices } = this.parts;
    const verdict = judge.judge(key);
    this.settle(key, verdict);
    const entry = catalogue.get(key);
    if (entry !== undefined)
      for (const conflict of catalogue.conflictsOf(entry)) notices.disagreement(entry, conflict);
    notices.judged(key, verdict?.kind === 'withhold' ? verdict.reason : undefined);
    return verdict;
  }

  private settle(key: ServiceKey, verdict: Verdict | undefined): void {
    const { catalogue, notices, observer, offers, settling, tenure } = this.parts;
    if (verdict?.kind === 'advert') {
      notices.advertisable(verdict.entry);
      this.carry(key, verdict);
      return;
    }
    tenure.giveUp(key);
    const entry = catalogue.get(key);
    if (entry === undefined) {
      settling.forget(key);
      offers.end(key);
      notices.forget(key);
      observer.gone?.(key);
    } else if (verdict !== undefined) notices.withheld(entry, verdict);
  }

  private carry(key: ServiceKey, advert: Advert): void {
    const { offers, reporting, tenure } = this.parts;
    tenure.carry(key, advert);
    const published = tenure.get(key);
    if (published === undefined) this.standing.set(key, advert);
    else {
      this.standing.delete(key);
      offers.notTaken(key);
      if (!published.silent) reporting.carried(advert, published);
    }
  }
}
