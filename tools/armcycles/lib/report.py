"""The tables that armcycles prints."""


def human(x):
    for u, s in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= u:
            return "%.3g%s" % (x / u, s)
    return "%.4g" % x


def table(rows, head):
    cols = [list(map(str, c)) for c in zip(head, *rows)]
    w = [max(map(len, c)) for c in cols]
    for n, r in enumerate(zip(*cols)):
        print("  ".join(x.ljust(w[i]) if i == 0 else x.rjust(w[i]) for i, x in enumerate(r)).rstrip())
        if n == 0:
            print("  ".join("-" * x for x in w))


def report(prof, mix, results, args, texts_of):
    st = prof.stats
    print("instructions: %s in the region, %s in the whole run (%.1f%%)"
          % (human(prof.insns), human(st["total_insns"]), 100.0 * prof.insns / max(1, st["total_insns"])))
    print("loads %s (%sB)  stores %s (%sB)  branches %s  SIMD/FP %s  flops %s" % (
        human(mix["loads"]), human(mix["load_bytes"]), human(mix["stores"]), human(mix["store_bytes"]),
        human(mix["branches"]), human(mix["simd"]), human(mix["flops"])))
    mi = st["cond_mis"] + st["ind_mis"]
    print("branch model: %s mispredicted of %s (%.2f per 1000 instructions)%s" % (
        human(mi), human(st["cond"] + st["ind"]), 1000.0 * mi / max(1, prof.insns),
        "" if args.branches else ", not charged"))
    if mix["macs"]:
        print("multiply-accumulates: " + "  ".join("%s %s" % (k, human(v)) for k, v in sorted(mix["macs"].items())))
    print()
    types = sorted({k for r in results for k in r["utilisation"]}, key=lambda k: -mix["macs"][k])
    head = ["core", "cycles", "IPC", "ms@GHz"] + ["%s MAC/cyc" % t for t in types] + ["%s util" % t for t in types]
    if args.mem:
        head += ["core cyc", "stall cyc", "L1 miss", "mem lines", "bound"]
    head += ["engine", "+-"]
    rows = []
    for r in results:
        row = [r["title"] + ("!" if r.get("missing_features") else ""), human(r["cycles"]), "%.2f" % r["ipc"],
               "%.3f@%.1f" % (r["ms"], r["ghz"])]
        for t in types:
            u = r["utilisation"].get(t)
            row.append("%.2f" % u["per_cycle"] if u else "-")
        for t in types:
            u = r["utilisation"].get(t)
            row.append("%.0f%%" % (100 * u["utilisation"]) if u else "-")
        if args.mem:
            m = r["memory"]
            row += [human(r["core_cycles"]), human(m["stall_cycles"]), human(m["l1_ld_miss"] + m["l1_st_miss"]),
                    human(m["fill_mem"]), r["bound"]]
        row += [r["engine"] + (":" + r["llvm_mca"].replace("llvm-", "") if r["engine"] == "mca" else ""),
                "%.1f%%" % (100 * r["sampling_spread"])]
        rows.append(row)
    table(rows, head)
    if args.mem and mix["needs"].get("sve"):
        print("note: SVE memory accesses are not seen by the cache model")
    for r in results:
        if r.get("missing_features"):
            print("! %s lacks %s: the real core could not run this" % (r["title"], ", ".join(r["missing_features"])))
        if r.get("not_modelled"):
            print("  %s: costed as nop, not in the model: %s" % (r["title"], "; ".join(r["not_modelled"][:5])))
    ref = results[0]
    fcount = {}
    for t in prof.tb.values():
        fcount[t["fn"]] = fcount.get(t["fn"], 0) + t["count"] * t["n"]
    names = sorted(fcount, key=lambda f: -ref["functions"][f]["cycles"])[:args.top]
    print()
    table([[f[:48], human(fcount[f])] + [human(r["functions"][f]["cycles"]) for r in results] +
           ["%.1f%%" % (100 * ref["functions"][f]["cycles"] / max(1e-9, ref["cycles"]))] for f in names],
          ["function", "insns"] + [r["core"] for r in results] + ["share(%s)" % ref["core"]])
    if args.blocks:
        print()
        tbs = sorted(prof.tb.values(), key=lambda t: -ref["block_cycles"][t["id"]])[:args.blocks]
        rows = []
        for t in tbs:
            rows.append(["%s+0x%x" % (t["fn"][:40], t["fnoff"]), t["n"], human(t["count"])] +
                        ["%.2f" % (r["block_cycles"][t["id"]] / t["count"]) for r in results] + [human(t["mis"])])
        table(rows, ["hot block", "insns", "runs"] + ["cyc " + r["core"] for r in results] + ["mispred"])
        if args.listing:
            for t in tbs:
                print("\n%s+0x%x (%s runs)" % (t["fn"], t["fnoff"], human(t["count"])))
                for x in texts_of[t["id"]]:
                    print("    " + x)
