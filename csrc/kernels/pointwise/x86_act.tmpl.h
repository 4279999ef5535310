/* Ends of rows and planes. Included with the primitives of x86_<isa>.h defined. */

/* Activation of the vectors of one output channel, by a single branch on the function. */
SPR_INLINE void ISA(act_row)(V *acc, const int v, const spr_act *act, size_t row) {
    ISA(spr_act_consts) c;
    if (act->fn == SPR_FN_CLIP && act->b == __builtin_inff()) { /* relu */
        const V low = V_SET(act->a);
        SPR_UNROLL for (int i = 0; i < v; i++) acc[i] = V_MAXC(acc[i], low);
        return;
    }
    switch (act->fn) {
#define CASE(f)                                                       \
    case f:                                                           \
        c = ISA(spr_act_load)(act, row);                              \
        c.fn = f;                                                     \
        SPR_UNROLL for (int i = 0; i < v; i++) acc[i] = ISA(spr_act_vec)(acc[i], &c); \
        break;
        CASE(SPR_FN_CLIP)
        CASE(SPR_FN_HARD_SWISH)
        CASE(SPR_FN_HARD_SIGMOID)
        CASE(SPR_FN_LEAKY_RELU)
        CASE(SPR_FN_PRELU)
#undef CASE
    default: break;
    }
}

/* Zeros in the padding lanes that no vector reaches. */
SPR_INLINE void ISA(clear_padding)(const spr_pw_args *a) {
    if (LANES == SPR_PX) return;
    const uint32_t end = (uint32_t)spr_round_up(a->px1, LANES);
    if (end % SPR_PX == 0) return;
    for (uint32_t row = a->row0; row < a->row1; row++) V_STORE(a->y + row * a->y_stride + end, V_SET(0.0f));
}
