/* Part of vec_<isa>.h: an activation on several vectors, with one branch for all. */
SPR_INLINE void spr_vact_each(spr_v *v, const int n, const spr_vact *consts) {
    spr_vact c = *consts;
    switch (c.fn) {
#define EACH(id)                                             \
    case id:                                                 \
        c.fn = id; /* known now: the switch inside folds */  \
        SPR_UNROLL                                           \
        for (int i = 0; i < n; i++) v[i] = spr_vact_run(v[i], &c); \
        break;
        EACH(SPR_FN_CLIP)
        EACH(SPR_FN_HARD_SWISH)
        EACH(SPR_FN_HARD_SIGMOID)
        EACH(SPR_FN_LEAKY_RELU)
        EACH(SPR_FN_PRELU)
#undef EACH
    default: break;
    }
}
