#include "kernels/dwconv/dwconv.h"

#include <string.h>

size_t spr_dwconv_size(const spr_conv_shape *s) { return s->oc * spr_dwconv_record(s) * sizeof(float); }

void spr_dwconv_pack(const spr_conv_shape *s, const float *w, const float *bias, void *dst) {
    const size_t taps = (size_t)s->win.kh * s->win.kw, record = spr_dwconv_record(s);
    float *to = dst;
    for (uint32_t c = 0; c < s->oc; c++, to += record, w += taps) {
        memset(to, 0, record * sizeof *to);
        memcpy(to, w, taps * sizeof *to);
        if (bias) to[taps] = bias[c];
    }
}

void spr_dwconv_finish(const spr_conv_args *a, uint32_t row, const float *x, const float *z, float *y, size_t n) {
    spr_act act = a->act;
    if (act.fn == SPR_FN_PRELU) act.slope += row;
    if (z) {
        for (size_t i = 0; i < n; i++) y[i] = x[i] + z[i];
        x = y;
    }
    if (act.fn != SPR_FN_NONE) a->unary(x, y, n, &act);
}

int spr_dwconv_match_fixed(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    const int size = w->kh == 3 || (w->kh == 5 && SPR_KEPT(dwconv_5x5, 1, 0));
    return w->kh == w->kw && size && w->sh == w->sw && (w->sh == 1 || w->sh == 2) && w->dh == 1 && w->dw == 1 &&
           s->oc == s->ic;
}
