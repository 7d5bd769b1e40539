/** Numbers that a seed determines (mulberry32), so that a run can be had again. */
export function randomOf(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    /** A whole number from 0 to `limit` - 1. */
    below: (limit: number) => Math.floor(next() * limit),
    chance: (probability: number) => next() < probability,
  };
}
