/* Whole tiles without a residual end together: 4 to 6 % of MobileNetV1's first layer. */
#define CONV_WHOLE 1

/* One step of a tile in registers, x86: acc[CONV_MR][nv] += w[CONV_MR] x[nv]. Multipliers are broadcast from memory,
   each for nv products. */
SPR_INLINE void conv_step(spr_v *acc, const spr_v *x, const int nv, const float *w) {
    SPR_UNROLL
    for (int r = 0; r < CONV_MR; r++) {
        const spr_v m = spr_vset(w[r]);
        SPR_UNROLL
        for (int v = 0; v < nv; v++) acc[r * nv + v] = spr_vfma(acc[r * nv + v], x[v], m);
    }
}
