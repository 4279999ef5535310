/* A kernel of every function of one variable, over NAME, ACT (the type of spr_act's constants), ACT_LOAD, and a
 * function loop(x, y, n, constants) that is to be inlined: each function then has loops of its own. */
#include "base/tailor.h"

SPR_INLINE int left_to_libm(spr_function fn) { return fn == SPR_FN_LOG || fn > SPR_FN_ERF; }

void NAME(const float *x, float *y, size_t n, const spr_act *act) {
    ACT c = ACT_LOAD(act, 0);
    if (left_to_libm(act->fn)) {
        spr_unary_f32_ref(x, y, n, act);
        return;
    }
    switch (act->fn) {
#define NO_CASE(id)
#define CASE(id)              \
    case SPR_FN_##id:         \
        c.fn = SPR_FN_##id;   \
        loop(x, y, n, c);     \
        break;
#define F(id, name, formula) SPR_KEPT(fn_##id, CASE, NO_CASE)(id)
        SPR_VECTOR_FUNCTIONS(F)
#undef F
#undef CASE
#undef NO_CASE
    default: break;
    }
}
