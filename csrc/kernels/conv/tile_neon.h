#define CONV_WHOLE 0
#define CONV_AHEAD 0

/* One step of a tile in registers, NEON: acc[CONV_MR][nv] += w[CONV_MR] x[nv]. Multipliers are lanes of vectors. */
SPR_INLINE void conv_step(spr_v *acc, const spr_v *x, const int nv, const float *from) {
    spr_w w;
    SPR_W_LOAD(w, from, CONV_MR);
    SPR_UNROLL
    for (int r = 0; r < CONV_MR; r++) {
        SPR_UNROLL
        for (int v = 0; v < nv; v++) acc[r * nv + v] = spr_vfma_w(acc[r * nv + v], x[v], &w, r);
    }
}
