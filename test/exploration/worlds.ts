import { batch, cancel, cancelBatch, cancelByEvent, enableByHand, event, hasStatus, notification, post, type Scenario, scenario, TWO } from './scenarios.ts';

/** The worlds that are explored: small ones, each of which is exhausted. */
export function worlds(_deep = false): Scenario[] {
  return [
    scenario('one disable', [post('A', 'disable')]),
    scenario('one remove', [post('A', 'remove')]),
    scenario('one removal later', [post('A', 'disable_then_remove')]),
    scenario('disable and its cancellation', [post('A', 'disable'), cancel()]),
  ];
}
export { batch, cancel, cancelBatch, cancelByEvent, enableByHand, event, hasStatus, notification, post, scenario, TWO };
