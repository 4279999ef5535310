/* Activation of the vectors of one output channel, by a single branch on the function. Included with the primitives of
   x86_<isa>.h defined. */
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
