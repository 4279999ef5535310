"""Windows of the executed instruction stream to simulate, and what their timing says about the whole run."""
import numpy as np


def vdc(n):
    """Order 0..n-1 so that every prefix is spread evenly."""
    bits = max(1, (n - 1).bit_length())
    out = [int(format(i, "0%db" % bits)[::-1], 2) for i in range(1 << bits)]
    return [x for x in out if x < n]


def sample(prof, budget, warm, meas, candidates=512):
    """Windows of the dynamic instruction stream: {(block ids): [first measured index, weight]}."""
    n_of = np.zeros(max(prof.tb) + 1, dtype=np.int64)
    for i, t in prof.tb.items():
        n_of[i] = t["n"]
    chunks = [c for c in prof.chunks if len(c)]
    if not chunks:
        raise SystemExit("armcycles: nothing was executed in the selected region")
    cums = [np.concatenate(([0], np.cumsum(n_of[c]))) for c in chunks]
    sizes = np.array([int(c[-1]) for c in cums])
    total = int(sizes.sum())
    starts = np.concatenate(([0], np.cumsum(sizes)))
    tile = total <= budget
    if tile:
        points = list(range(0, total, meas))
    else:
        points = [int((i + 0.5) * total / candidates) for i in vdc(candidates)]
    windows, used = {}, 0
    seen_edges = {}

    def add(ci, a, m):
        nonlocal used
        cum, ch = cums[ci], chunks[ci]
        w = max(0, int(np.searchsorted(cum, cum[a] - warm, side="right")) - 1) if a else 0
        e = min(len(ch), max(a + 1, int(np.searchsorted(cum, cum[a] + m, side="left"))))
        key = (tuple(int(x) for x in ch[w:e]), a - w)
        if key in windows:
            windows[key] += 1
        else:
            windows[key] = 1
            used += int(cum[e] - cum[w])
        for j in range(a, e):
            if j:
                k = (int(ch[j - 1]), int(ch[j]))
                seen_edges[k] = seen_edges.get(k, 0) + 1
        return e

    for p in points:
        ci = int(np.searchsorted(starts, p, side="right")) - 1
        a = int(np.searchsorted(cums[ci], p - starts[ci], side="right")) - 1
        a = min(a, len(chunks[ci]) - 1)
        add(ci, a, meas)
        if used > budget and not tile:
            break
    # transitions that matter but were not met by the samples get a window of their own
    if not tile:
        rest = sorted(((n * prof.tb[b]["n"], a, b) for (a, b), n in prof.edges.items() if (a, b) not in seen_edges),
                      reverse=True)
        for wt, a, b in rest[:200]:
            if wt < 0.001 * prof.insns or used > 1.5 * budget:
                break
            if (a, b) in seen_edges:
                continue
            for ci, ch in enumerate(chunks):
                h = np.nonzero((ch[1:] == b) & (ch[:-1] == a))[0]
                if len(h):
                    add(ci, int(h[len(h) // 2]) + 1, meas // 4)
                    break
    return windows, tile, used, total


def cost_blocks(prof, windows, times):
    """Mean cycles of each block by the block before it, from the windows' timelines."""
    acc = {}
    for (ids, a), weight in windows.items():
        t = times[(ids, a)]
        pos = 0
        prev_t = 0.0
        for j, b in enumerate(ids):
            pos += prof.tb[b]["n"]
            end = t[pos - 1]
            if j >= a:
                k = (ids[j - 1] if j else -1, b)
                s = acc.setdefault(k, [0.0, 0])
                s[0] += (end - prev_t) * weight
                s[1] += weight
            prev_t = end
    return acc


def combine(prof, acc):
    """Cycles per block over the whole run: exact transition counts times sampled mean costs."""
    by_tb, tot, n_ins = {}, 0.0, 0
    for (a, b), (s, n) in acc.items():
        v = by_tb.setdefault(b, [0.0, 0])
        v[0] += s
        v[1] += n
        tot += s
        n_ins += n * prof.tb[b]["n"]
    cpi = tot / n_ins if n_ins else 1.0
    cyc = {b: 0.0 for b in prof.tb}
    incount = {b: 0 for b in prof.tb}
    sampled = 0
    for (a, b), n in prof.edges.items():
        if b not in cyc:
            continue
        incount[b] += n
        if (a, b) in acc:
            c = acc[(a, b)][0] / acc[(a, b)][1]
            sampled += n * prof.tb[b]["n"]
        elif b in by_tb:
            c = by_tb[b][0] / by_tb[b][1]
            sampled += n * prof.tb[b]["n"]
        else:
            c = cpi * prof.tb[b]["n"]
        cyc[b] += n * c
    for b, t in prof.tb.items():
        rest = t["count"] - incount[b]
        if rest > 0:
            c = by_tb[b][0] / by_tb[b][1] if b in by_tb else cpi * t["n"]
            cyc[b] += rest * c
            if b in by_tb:
                sampled += rest * t["n"]
    return cyc, sampled / max(1, prof.insns)
