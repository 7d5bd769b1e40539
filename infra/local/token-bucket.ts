// A token bucket: it holds `burst` tokens at most and gets `perSecond` back.

/** A full bucket. Tokens come back with the time of `Date.now()`. */
export function createTokenBucket(burst: number, perSecond: number) {
  let [tokens, at] = [burst, Date.now()];
  return {
    /** How many tokens it has now, parts of one included. */
    left(): number {
      tokens = Math.min(burst, tokens + ((Date.now() - at) / 1000) * perSecond);
      at = Date.now();
      return tokens;
    },
    /** Takes one; the caller has looked whether there is one. */
    take() {
      tokens -= 1;
    },
  };
}
