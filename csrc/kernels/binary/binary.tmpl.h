/* Functions of two variables, over NAME, V, WIDTH, V_LOAD, V_STORE, V_LOAD_TAIL, V_STORE_TAIL (the first n lanes only),
 * V_SET, and V_ADD ... V_MAX, which give NaN if either operand is. */

#define LOOP(op)                                                                                                  \
    for (; i + WIDTH <= n; i += WIDTH) V_STORE(y + i, op(V_LOAD(a + i * sa), V_LOAD(b + i * sb)));                \
    if (i < n) V_STORE_TAIL(y + i, n - i, op(V_LOAD_TAIL(a + i * sa, n - i), V_LOAD_TAIL(b + i * sb, n - i)));    \
    return

void NAME(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n) {
    /* One value for all becomes a vector that is read again and again. */
    float a0[WIDTH], b0[WIDTH];
    const size_t sa = a_step != 0, sb = b_step != 0;
    size_t i = 0;
    if (n == 0) return;
    if (f >= SPR_BIN_POW) {
        spr_binary_f32_ref(f, a, a_step, b, b_step, y, n);
        return;
    }
    if (!sa) V_STORE(a0, V_SET(*a)), a = a0;
    if (!sb) V_STORE(b0, V_SET(*b)), b = b0;
    switch (f) {
    case SPR_BIN_ADD: LOOP(V_ADD);
    case SPR_BIN_SUB: LOOP(V_SUB);
    case SPR_BIN_MUL: LOOP(V_MUL);
    case SPR_BIN_DIV: LOOP(V_DIV);
    case SPR_BIN_MIN: LOOP(V_MIN);
    case SPR_BIN_MAX: LOOP(V_MAX);
    default: return;
    }
}
