/* Part of vec_<isa>.h: what ends a block of outputs. */

/* Parameters of an activation in registers, for one channel. */
typedef struct spr_vact {
    SPR_ACT(spr_act_consts) consts;
    int relu; /* clip without an upper end: one operation less */
} spr_vact;

SPR_INLINE spr_vact spr_vact_load(const spr_act *act, size_t row) {
    return (spr_vact){SPR_ACT(spr_act_load)(act, row), act->fn == SPR_FN_CLIP && act->b == __builtin_inff()};
}

/* Activation of n vectors, with one branch for all. */
SPR_INLINE void spr_vact_each(spr_v *v, const int n, const spr_vact *act) {
    SPR_ACT(spr_act_consts) c = act->consts;
    if (act->relu) {
        SPR_UNROLL
        for (int i = 0; i < n; i++) v[i] = spr_vmaxc(v[i], c.a);
        return;
    }
    switch (c.fn) {
#define EACH(id)                                                          \
    case id:                                                              \
        c.fn = id; /* known now: the switch inside folds */               \
        SPR_UNROLL                                                        \
        for (int i = 0; i < n; i++) v[i] = SPR_ACT(spr_act_vec)(v[i], &c); \
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

/* Ends a block of `rows` by `nv` vectors that lie at y and z (or NULL), `ow` floats from row to row: adds z, applies
   the activation and stores. The last vector of a row has `rest` lanes, or all if there are more. */
SPR_INLINE void spr_vfinish(spr_v *acc, const int rows, const int nv, float *y, const float *z, size_t ow, size_t rest,
                            const spr_vact *act) {
    if (rest > SPR_VL) rest = SPR_VL;
    if (z) {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) {
            const float *at = z + i / nv * ow + i % nv * SPR_VL;
            acc[i] = spr_vadd(acc[i], i % nv == nv - 1 ? spr_vload_n(at, rest) : spr_vload(at));
        }
    }
    spr_vact_each(acc, rows * nv, act);
    if (rest == SPR_VL) {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) spr_vstore(y + i / nv * ow + i % nv * SPR_VL, acc[i]);
    } else {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) {
            float *at = y + i / nv * ow + i % nv * SPR_VL;
            if (i % nv == nv - 1)
                spr_vstore_n(at, acc[i], rest);
            else
                spr_vstore(at, acc[i]);
        }
    }
}

