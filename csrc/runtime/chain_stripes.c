#include "runtime/chain_stripes.h"

/* Alignment of parts of planes, and room before and after each buffer for what kernels read beyond the rows they
   use. */
#define SLACK_LANES(width) (4 * SPR_PX + 4 * (size_t)(width))

spr_rows spr_chain_needed(const spr_member *m, spr_rows out) {
    const spr_window *win = &m->shape.win;
    if (m->way == SPR_CONV_POINTWISE) { /* computed by whole lines */
        size_t end = spr_round_up((size_t)out.hi * win->ow, SPR_PX);
        out.lo = (uint32_t)((size_t)out.lo * win->ow / SPR_PX * SPR_PX / win->ow);
        out.hi = (uint32_t)((end + win->ow - 1) / win->ow);
        if (out.hi > win->oh) out.hi = win->oh;
        return out;
    }
    int64_t lo = (int64_t)out.lo * win->sh - win->pt;
    int64_t hi = ((int64_t)out.hi - 1) * win->sh - win->pt + (int64_t)(win->kh - 1) * win->dh + 1;
    if (lo < 0) lo = 0;
    if (hi > win->ih) hi = win->ih;
    if (lo > hi) lo = hi;
    return (spr_rows){(uint32_t)lo, (uint32_t)hi};
}

/* Bytes of buffers that stay in the cache beside what streams through, and of a tensor between two members that does
   not stay there as a whole. On x86 measured with MobileNetV1 and V2: with 2 MiB of L2, joining where all tensors were
   below 1.7 MB lost up to a tenth; on Zen 3, whose L3 is near, so did joining those networks at all (2 to 5 % at
   90 % zeros, no difference where dense). On ARM estimated for A53, A55 and A76 with these and PicoDet-m: with fewer
   rows at a time, or smaller tensors joined, kernels lose more by short stripes than memory gains, in order up to a
   tenth. */
typedef struct stripe_sizes {
    size_t buffers, worth;
} stripe_sizes;

static stripe_sizes stripe_sizes_for(uint32_t features) {
#if SPR_X86_64 /* elsewhere it would be code that never runs */
    if (features & SPR_ISA_AVX2) return (stripe_sizes){768 << 10, (features & SPR_ISA_AVX512 ? 1664 : 8192) << 10};
#else
    (void)features;
#endif
    return (stripe_sizes){384 << 10, 1024 << 10};
}

/* Bytes of the largest tensor between two members. */
static size_t largest_tensor(const spr_chain *c) {
    size_t largest = 0;
    for (int i = 0; i + 1 < c->count; i++) {
        const spr_conv_shape *s = &c->members[i].shape;
        size_t bytes = (size_t)s->oc * s->win.oh * s->win.ow * sizeof(float);
        if (largest < bytes) largest = bytes;
    }
    return largest;
}

/* Lays out the buffers for stripes of `n` output rows; returns their bytes. */
static size_t place_buffers(spr_chain *c, uint32_t n) {
    uint32_t need = n;
    size_t at = 0;
    for (int i = c->count - 1; i > 0; i--) {
        const spr_window *win = &c->members[i].shape.win;
        if (c->members[i].way != SPR_CONV_POINTWISE)
            need = (need - 1) * win->sh + (win->kh - 1) * win->dh + 1;
        else if (i + 1 < c->count) /* what completes lines at both ends; the last layer's stripes consist of whole
                                      ones */
            need += 2 * ((SPR_PX - 1 + win->ow - 1) / win->ow);
        if (need > win->ih) need = win->ih;
        spr_member *from = &c->members[i - 1];
        size_t lines = spr_round_up((size_t)need * win->iw + 2 * SPR_PX, SPR_PX) / SPR_PX;
        from->stride = (lines | 1) * SPR_PX;
        at += spr_round_up(SLACK_LANES(win->iw), SPR_PX);
        from->buffer = at;
        at += from->stride * from->shape.oc + spr_round_up(SLACK_LANES(win->iw), SPR_PX);
    }
    return at * sizeof(float);
}

/* Rows of a stripe start at whole lines of the cache in the output, so that no two threads write to one. */
static uint32_t row_unit(const spr_member *last) {
    uint32_t unit = 1;
    while (last->way == SPR_CONV_POINTWISE && unit * last->shape.win.ow % SPR_PX) unit *= 2;
    return unit;
}

/* Output rows of a band: whole units, those that are left over go to the first bands, as these are taken first. */
spr_rows spr_chain_band(const spr_chain *c, uint32_t band) {
    uint32_t oh = c->members[c->count - 1].shape.win.oh, units = (oh + c->unit - 1) / c->unit;
    uint32_t each = units / c->bands, more = units % c->bands;
    uint32_t lo = (band * each + (band < more ? band : more)) * c->unit, hi = lo + (each + (band < more)) * c->unit;
    return (spr_rows){lo, hi < oh ? hi : oh};
}

/* Multiply-accumulates of a band: of all members' rows that its rows ask for. */
static double band_work(const spr_chain *c, uint32_t band) {
    spr_rows want = spr_chain_band(c, band);
    double work = 0;
    for (int i = c->count - 1; i >= 0; i--) {
        const spr_conv_shape *s = &c->members[i].shape;
        work += (double)(want.hi - want.lo) * s->win.ow * s->oc * (s->ic / s->group) * s->win.kh * s->win.kw;
        want = spr_chain_needed(&c->members[i], want);
    }
    return work;
}

spr_loads spr_chain_loads(const spr_chain *c, int threads, size_t images) {
    spr_loads loads = {.threads = threads};
    for (size_t image = 0; image < images; image++)
        for (uint32_t band = 0; band < c->bands; band++) spr_loads_add(&loads, band_work(c, band));
    return loads;
}

/* The number of bands that leaves least to the thread that has most: few, as each computes rows of its neighbours anew,
   but such that they come out even. 0: there are too few rows for that. */
static uint32_t choose_bands(spr_chain *c, uint32_t units, int threads, size_t images) {
    uint32_t best = 0, per_thread = threads > 1 ? 2 : 1;
    double least = 0;
    for (c->bands = 1; c->bands <= units && c->bands * images <= 8 * (size_t)threads; c->bands++) {
        if (c->bands * images < per_thread * (size_t)threads) continue;
        spr_loads loads = spr_chain_loads(c, threads, images);
        double most = 0;
        for (int t = 0; t < threads; t++)
            if (loads.of[t] > most) most = loads.of[t];
        if (best && most > 0.99 * least) continue;
        least = most;
        best = c->bands;
    }
    return best;
}

int spr_chain_stripes(spr_chain *c, const spr_plan_ctx *ctx, size_t images) {
    const spr_member *last = &c->members[c->count - 1];
    uint32_t oh = last->shape.win.oh, unit = c->unit = row_unit(last), units = (oh + unit - 1) / unit;
    stripe_sizes sizes = stripe_sizes_for(ctx->features);
    if (unit > oh || largest_tensor(c) <= sizes.worth || place_buffers(c, unit) > sizes.buffers) return 0;
    uint32_t n = unit;
    while (n + unit <= oh && place_buffers(c, n + unit) <= sizes.buffers) n += unit;
    c->bands = images > 8 * (size_t)ctx->threads ? 1 : choose_bands(c, units, ctx->threads, images);
    if (!c->bands) return 0;
    uint32_t band = spr_chain_band(c, 0).hi, stripes = (band + n - 1) / n; /* about even ones */
    c->rows = ((band + stripes - 1) / stripes + unit - 1) / unit * unit;
    c->kernel_scratch = spr_round_up(place_buffers(c, c->rows), SPR_LINE);
    return 1;
}
