/* Quantized pointwise kernels in plain C. */
#include "kernels/pointwise_q8/planar.h"
#include "kernels/q8_scalar.h"

/* Finishes one pixel of a row. */
static void store(const spr_pw_q8_args *a, uint32_t row, uint32_t px, int32_t sum, float scale) {
    const size_t quad = row / SPR_Q8_GROUP, byte = row % SPR_Q8_GROUP;
    const spr_q8 z = a->z ? a->z[(quad * a->z_stride + px) * SPR_Q8_GROUP + byte] : 0;
    const float v = spr_q8_value(sum, scale, a->z != NULL, z, a->finish, row);
    if (a->finish->to_float)
        ((float *)a->y)[row * a->y_stride + px] = v;
    else
        ((spr_q8 *)a->y)[(quad * a->y_stride + px) * SPR_Q8_GROUP + byte] = spr_q8_requantize(v, a->finish);
}

static int32_t dot(const int8_t *w, const spr_q8 *x) {
    return w[0] * (int32_t)x[0] + w[1] * (int32_t)x[1] + w[2] * (int32_t)x[2] + w[3] * (int32_t)x[3];
}

void spr_pw_dense_q8_ref(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    for (uint32_t row = a->row0; row < a->row1; row++)
        for (uint32_t px = a->px0; px < a->px1; px++) {
            const int8_t *w = p.w + ((size_t)(row / 4) * p.groups * 4 + row % 4) * 4;
            int32_t sum = p.bias[row];
            for (uint32_t g = 0; g < p.groups; g++)
                sum += dot(w + (size_t)g * 16, a->x + ((size_t)p.offset[g] + px) * 4);
            store(a, row, px, sum, p.scale[row]);
        }
}

static void sparse(const spr_pw_q8_args *a, uint32_t height) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    for (uint32_t row = a->row0; row < a->row1; row++)
        for (uint32_t px = a->px0; px < a->px1; px++) {
            int32_t sum = p.bias[row];
            for (uint32_t i = p.ptr[row / height]; i < p.ptr[row / height + 1]; i++)
                sum += dot(p.w + ((size_t)i * height + row % height) * 4, a->x + ((size_t)p.offset[i] + px) * 4);
            store(a, row, px, sum, p.scale[row]);
        }
}

void spr_pw_1x4_q8_ref(const spr_pw_q8_args *a) { sparse(a, 1); }
void spr_pw_2x4_q8_ref(const spr_pw_q8_args *a) { sparse(a, 2); }

static void planar(const spr_pw_q8_args *a, uint32_t height) {
    const spr_pw_q8_planar p = spr_pw_q8_planar_of(a->packed);
    for (uint32_t row = a->row0; row < a->row1; row++)
        for (uint32_t px = a->px0; px < a->px1; px++) {
            int32_t sum = p.bias[row];
            for (uint32_t q = p.ptr[row / height * 2]; q < p.ptr[row / height * 2 + 2]; q++) {
                const uint32_t *at = (const uint32_t *)p.quads + (size_t)q * (4 + height);
                const int8_t *w = (const int8_t *)(at + 4) + row % height * 4;
                for (int i = 0; i < 4; i++) {
                    const uint32_t line = at[i] / p.stride;
                    sum += w[i] * (int32_t)a->x[((size_t)p.offset[line / 4] + px) * 4 + line % 4];
                }
            }
            store(a, row, px, sum, p.scale[row]);
        }
}

void spr_pw_csr_q8_ref(const spr_pw_q8_args *a) { planar(a, 1); }
void spr_pw_2x1_q8_ref(const spr_pw_q8_args *a) { planar(a, 2); }
