/* Functions of one variable on vectors, written once over primitives which act_<isa>.h defines before including this:
 *
 *   V, M              vector and mask types                  NAME(x)              x with the suffix of the ISA
 *   V_SET(f)          all lanes f                            V_LOAD(p)            any alignment
 *   V_ADD SUB MUL DIV(a, b)                                  V_FMA(a, b, c)       a * b + c, rounded once
 *   V_RCP(x)          1 / x for 1 <= x < 2^126 to 2 * 2^-24; beyond it 0 will do. A division unless defined
 *   V_MAXC MINC(x, c) c where x is beyond it, NaN where x is NaN (c is a number)
 *   V_LT(a, b)        mask, false for NaN                    V_SELECT(m, a, b)    m ? a : b
 *   V_ABS NEG SQRT FLOOR CEIL ROUND(x)                       V_COPYSIGN(m, s)     |m| with the sign of s
 *   V_POW2(t)         2^n for t = SPR_MAGIC + n, -126 <= n <= 127
 *
 * Every lane is computed by the same operations wherever it stands, so results do not depend on how callers cut ranges.
 * Errors against exact arithmetic, for which spr-check allows: exp 4 * 2^-24 of the result; expm1, sigmoid, silu, tanh,
 * elu, softplus, mish and erf 6 * 2^-24 of the result plus 1e-35 (e^-|x| counts as 0 below 1.6e-38); gelu 6 * 2^-24 of
 * |x|. Formulas hold for Inf: x / (1 + e^-x) is NaN at -Inf. */

/* Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the mantissa. */
#ifndef SPR_MAGIC
#define SPR_MAGIC 12582912.0f
#endif

#ifndef V_RCP
#define V_RCP(x) V_DIV(V_SET(1), x)
#endif

/* Parameters of an activation in registers. For PRELU `a` is the slope: that of one row, or, where the lanes are
   channels, one for each. */
typedef struct NAME(spr_act_consts) {
    spr_function fn;
    V a, b;
} NAME(spr_act_consts);

/* Parameters for the rows' first channel `row`; others matter to PRELU alone. */
SPR_INLINE NAME(spr_act_consts) NAME(spr_act_load)(const spr_act *act, size_t row) {
    NAME(spr_act_consts) c;
    c.fn = act->fn;
    c.a = V_SET(act->fn == SPR_FN_PRELU ? act->slope[row] : act->a);
    c.b = V_SET(act->b);
    return c;
}

/* The same for channels row, row + 1 ... in the lanes. All lanes are read where the function is PRELU. */
SPR_INLINE NAME(spr_act_consts) NAME(spr_act_load_lanes)(const spr_act *act, size_t row) {
    NAME(spr_act_consts) c;
    c.fn = act->fn;
    c.a = act->fn == SPR_FN_PRELU ? V_LOAD(act->slope + row) : V_SET(act->a);
    c.b = V_SET(act->b);
    return c;
}

SPR_INLINE V NAME(spr_hard_swish)(V x, const NAME(spr_act_consts) * c) {
    return V_MUL(x, V_MINC(V_MAXC(V_FMA(x, c->a, c->b), V_SET(0)), V_SET(1)));
}

/* Applies a function of SPR_ACT_IN_REGISTERS; x itself for all others. */
SPR_INLINE V NAME(spr_act_vec)(V x, const NAME(spr_act_consts) * c) {
    switch (c->fn) {
    case SPR_FN_CLIP: return V_MINC(V_MAXC(x, c->a), c->b);
    case SPR_FN_HARD_SWISH: return NAME(spr_hard_swish)(x, c);
    case SPR_FN_HARD_SIGMOID: return V_MINC(V_MAXC(V_FMA(x, c->a, c->b), V_SET(0)), V_SET(1));
    case SPR_FN_LEAKY_RELU:
    case SPR_FN_PRELU: return V_SELECT(V_LT(x, V_SET(0)), V_MUL(x, c->a), x);
    default: return x;
    }
}

/* Splits e^x into 2^n (1 + p): t = SPR_MAGIC + n, returns p = e^r - 1 with |r| <= log(2) / 2. */
SPR_INLINE V NAME(spr_exp_split)(V x, V *t) {
    *t = V_FMA(x, V_SET(1.44269504f), V_SET(SPR_MAGIC));
    V n = V_SUB(*t, V_SET(SPR_MAGIC));
    V r = V_FMA(n, V_SET(-0x1.62e400p-1f), x); /* log(2) in two parts; the first has few bits */
    r = V_FMA(n, V_SET(-0x1.7f7d1cp-20f), r);
    V q = V_FMA(r, V_SET(0x1.6d990cp-10f), V_SET(0x1.1227fep-7f));
    q = V_FMA(q, r, V_SET(0x1.555486p-5f));
    q = V_FMA(q, r, V_SET(0x1.5554b0p-3f));
    q = V_FMA(q, r, V_SET(0.5f));
    return V_FMA(V_MUL(r, r), q, r);
}

SPR_INLINE V NAME(spr_exp)(V x) {
    V t;
    x = V_MINC(V_MAXC(x, V_SET(-104.0f)), V_SET(89.0f));
    V p = NAME(spr_exp_split)(x, &t);
    /* n runs from -150 to 128, further than an exponent: scale by half of it twice. */
    V n = V_SUB(t, V_SET(SPR_MAGIC));
    V half = V_FMA(n, V_SET(0.5f), V_SET(SPR_MAGIC));
    V rest = V_ADD(V_SUB(n, V_SUB(half, V_SET(SPR_MAGIC))), V_SET(SPR_MAGIC));
    return V_MUL(V_MUL(V_ADD(p, V_SET(1)), V_POW2(half)), V_POW2(rest));
}

/* e^x for x <= 0; 0 where it would be denormal. */
SPR_INLINE V NAME(spr_exp_neg)(V x) {
    V t, p = NAME(spr_exp_split)(V_MAXC(x, V_SET(-87.0f)), &t), s = V_POW2(t);
    return V_SELECT(V_LT(x, V_SET(-87.0f)), V_SET(0), V_FMA(p, s, s));
}

/* e^x - 1 for x <= 0. */
SPR_INLINE V NAME(spr_expm1_neg)(V x) {
    V t, p = NAME(spr_exp_split)(V_MAXC(x, V_SET(-30.0f)), &t), s = V_POW2(t);
    return V_FMA(p, s, V_SUB(s, V_SET(1)));
}

/* log(1 + e) for 0 <= e <= 1. */
SPR_INLINE V NAME(spr_log1p_unit)(V e) {
    V s = V_DIV(e, V_ADD(e, V_SET(2))), s2 = V_MUL(s, s);
    V q = V_FMA(s2, V_SET(0x1.1ef870p-2f), V_SET(0x1.1eb612p-2f));
    q = V_FMA(q, s2, V_SET(0x1.99d27cp-2f));
    q = V_FMA(q, s2, V_SET(0x1.555500p-1f));
    return V_FMA(V_MUL(q, s2), s, V_ADD(s, s));
}

/* 1 / (1 + e^-x), which counts as 0 below e^-87. */
SPR_INLINE V NAME(spr_sigmoid)(V x) {
    V t, p = NAME(spr_exp_split)(V_NEG(V_MINC(V_MAXC(x, V_SET(-87.0f)), V_SET(87.0f))), &t), s = V_POW2(t);
    return V_SELECT(V_LT(x, V_SET(-87.0f)), V_SET(0), V_RCP(V_ADD(V_FMA(p, s, s), V_SET(1))));
}

SPR_INLINE V NAME(spr_tanh)(V x) {
    V m = NAME(spr_expm1_neg)(V_MUL(V_ABS(x), V_SET(-2)));
    return V_COPYSIGN(V_DIV(m, V_ADD(m, V_SET(2))), x);
}

SPR_INLINE V NAME(spr_softplus)(V x) {
    return V_ADD(V_MAXC(x, V_SET(0)), NAME(spr_log1p_unit)(NAME(spr_exp_neg)(V_NEG(V_ABS(x)))));
}

/* tanh(log(1 + u)) = (u^2 + 2u) / (u^2 + 2u + 2), by e = e^-|x| = u or 1/u. */
SPR_INLINE V NAME(spr_mish)(V x) {
    V e = NAME(spr_exp_neg)(V_NEG(V_ABS(x)));
    M negative = V_LT(x, V_SET(0));
    V above = V_SELECT(negative, V_MUL(e, V_ADD(e, V_SET(2))), V_FMA(e, V_SET(2), V_SET(1)));
    V extra = V_SELECT(negative, V_SET(2), V_MUL(V_SET(2), V_MUL(e, e)));
    return V_MUL(x, V_DIV(above, V_ADD(above, extra)));
}

/* erf(x) for |x| < 1. */
SPR_INLINE V NAME(spr_erf_small)(V x) {
    V s = V_MUL(x, x);
    V q = V_FMA(s, V_SET(0x1.496a32p-14f), V_SET(-0x1.a3f700p-11f));
    q = V_FMA(q, s, V_SET(0x1.5405b2p-8f));
    q = V_FMA(q, s, V_SET(-0x1.b7f90ep-6f));
    q = V_FMA(q, s, V_SET(0x1.ce2cf8p-4f));
    q = V_FMA(q, s, V_SET(-0x1.81273ep-2f));
    q = V_FMA(q, s, V_SET(0x1.06eba8p-3f));
    return V_FMA(q, x, x);
}

/* 1 - erf(t) for t >= 1: e^(-t q(t)), to 2 ulp up to t = 4 and to 2^-26 beyond, where t q(t) still grows. */
SPR_INLINE V NAME(spr_erfc_large)(V t) {
    V q = V_FMA(t, V_SET(0x1.d47f06p-17f), V_SET(-0x1.6f9ee2p-12f));
    q = V_FMA(q, t, V_SET(0x1.ec7fc6p-9f));
    q = V_FMA(q, t, V_SET(-0x1.896178p-6f));
    q = V_FMA(q, t, V_SET(0x1.b459b2p-4f));
    q = V_FMA(q, t, V_SET(0x1.451abap-1f));
    q = V_FMA(q, t, V_SET(0x1.20f21cp+0f));
    return NAME(spr_exp_neg)(V_NEG(V_MUL(q, t)));
}

SPR_INLINE V NAME(spr_erf)(V x) {
    V t = V_ABS(x);
    V large = V_COPYSIGN(V_SUB(V_SET(1), NAME(spr_erfc_large)(t)), x);
    return V_SELECT(V_LT(t, V_SET(1)), NAME(spr_erf_small)(x), large);
}

/* x * Phi(x); the lower tail is taken from erfc, where 1 + erf would cancel. */
SPR_INLINE V NAME(spr_gelu)(V x) {
    V u = V_MUL(x, V_SET(0.707106781f)), t = V_ABS(u);
    V tail = NAME(spr_erfc_large)(t);
    V large = V_SELECT(V_LT(x, V_SET(0)), tail, V_SUB(V_SET(2), tail));
    V twice = V_SELECT(V_LT(t, V_SET(1)), V_ADD(NAME(spr_erf_small)(u), V_SET(1)), large);
    return V_MUL(V_MUL(x, V_SET(0.5f)), twice);
}

/* Any of SPR_VECTOR_FUNCTIONS but LOG. */
SPR_INLINE V NAME(spr_fn_vec)(V x, const NAME(spr_act_consts) * c) {
    switch (c->fn) {
    case SPR_FN_SIGMOID: return NAME(spr_sigmoid)(x);
    case SPR_FN_SILU: return V_MUL(x, NAME(spr_sigmoid)(x));
    case SPR_FN_TANH: return NAME(spr_tanh)(x);
    case SPR_FN_ELU:
        return V_SELECT(V_LT(x, V_SET(0)), V_MUL(c->a, NAME(spr_expm1_neg)(V_MINC(x, V_SET(0)))), x);
    case SPR_FN_GELU: return NAME(spr_gelu)(x);
    case SPR_FN_SOFTPLUS: return NAME(spr_softplus)(x);
    case SPR_FN_MISH: return NAME(spr_mish)(x);
    case SPR_FN_EXP: return NAME(spr_exp)(x);
    case SPR_FN_SQRT: return V_SQRT(x);
    case SPR_FN_RECIPROCAL: return V_DIV(V_SET(1), x);
    case SPR_FN_ABS: return V_ABS(x);
    case SPR_FN_NEG: return V_NEG(x);
    case SPR_FN_FLOOR: return V_FLOOR(x);
    case SPR_FN_CEIL: return V_CEIL(x);
    case SPR_FN_ROUND: return V_ROUND(x);
    case SPR_FN_SIGN:
        return V_SELECT(V_LT(V_SET(0), x), V_SET(1), V_SELECT(V_LT(x, V_SET(0)), V_SET(-1), x));
    case SPR_FN_ERF: return NAME(spr_erf)(x);
    default: return NAME(spr_act_vec)(x, c);
    }
}

#undef V
#undef M
#undef NAME
#undef V_SET
#undef V_LOAD
#undef V_ADD
#undef V_SUB
#undef V_MUL
#undef V_DIV
#undef V_RCP
#undef V_FMA
#undef V_MAXC
#undef V_MINC
#undef V_LT
#undef V_SELECT
#undef V_ABS
#undef V_NEG
#undef V_SQRT
#undef V_FLOOR
#undef V_CEIL
#undef V_ROUND
#undef V_COPYSIGN
#undef V_POW2
