// Reads the families of the verb metrics. A server may lack any of them: then
// the answer is null, and what would show it is left out.

export class Metrics {
  constructor(answer) {
    this.families = new Map();
    for (const f of Array.isArray(answer?.families) ? answer.families : []) {
      if (f && typeof f.name === "string" && Array.isArray(f.samples)) this.families.set(f.name, f);
    }
  }

  // samples returns those of the first of the named families that is there.
  samples(...names) {
    for (const name of names) {
      const f = this.families.get(name);
      if (f) return f.samples;
    }
    return null;
  }

  // total adds up the samples whose labels have all of match; null if there is none.
  total(names, match = {}) {
    const found = this.samples(...names)?.filter((s) => has(s, match));
    if (!found?.length) return null;
    return found.reduce((sum, s) => sum + (Number(s.value ?? s.count) || 0), 0);
  }

  // histogram adds up the samples whose labels have all of match.
  histogram(names, match = {}) {
    const found = this.samples(...names)?.filter((s) => has(s, match));
    return found?.length ? merge(found) : null;
  }
}

function has(s, match) {
  return Object.entries(match).every(([k, v]) => (s.labels?.[k] ?? "") === v);
}

// merge adds up exponential histograms, in the coarsest of their schemas.
function merge(samples) {
  const schema = Math.min(...samples.map((s) => Number(s.schema ?? 3)));
  const sum = { schema, zero: 0, buckets: new Map(), count: 0 };
  for (const s of samples) {
    const step = 2 ** (Number(s.schema ?? 3) - schema);
    sum.zero += Number(s.zero) || 0;
    for (const [i, n] of Object.entries(s.buckets ?? {})) {
      const j = Math.ceil(Number(i) / step);
      sum.buckets.set(j, (sum.buckets.get(j) ?? 0) + (Number(n) || 0));
    }
    sum.count += Number(s.count) || 0;
  }
  return sum;
}

// minus returns what came into h since before; null if h counts anew.
export function minus(h, before) {
  if (!h || !before || h.schema !== before.schema) return null;
  const d = { schema: h.schema, zero: h.zero - before.zero, buckets: new Map(), count: 0 };
  let n = d.zero;
  for (const [i, v] of h.buckets) {
    const more = v - (before.buckets.get(i) ?? 0);
    if (more < 0) return null;
    if (more > 0) d.buckets.set(i, more);
    n += more;
  }
  if (d.zero < 0) return null;
  d.count = n;
  return d;
}

// quantile returns the value below which q of the observations are. Bucket i
// ends at base^i, where base = 2^(2^-schema); within it the logarithm is even.
export function quantile(h, q) {
  if (!h || h.count <= 0) return null;
  let rank = q * h.count - h.zero;
  if (rank <= 0) return 0;
  const step = 2 ** -h.schema;
  const indexes = [...h.buckets.keys()].sort((a, b) => a - b);
  for (const i of indexes) {
    const n = h.buckets.get(i);
    if (rank <= n) return 2 ** ((i - 1 + rank / n) * step);
    rank -= n;
  }
  return indexes.length ? 2 ** (indexes[indexes.length - 1] * step) : 0;
}
