/* The kernel table and the choice from it. */
#include <string.h>

#include "base/tailor.h"
#include "kernels/kernel.h"

/* IN_<ISA>(here, elsewhere): what holds for kernels of this architecture or of another. */
#define HERE(here, elsewhere) here
#define ELSEWHERE(here, elsewhere) elsewhere
#define IN_REF HERE
#if SPR_NEON && !defined(SPR_PLAIN_C)
#define IN_NEON HERE
#else
#define IN_NEON ELSEWHERE
#endif
#if SPR_AARCH64 && !defined(SPR_PLAIN_C)
#define IN_NEON64 HERE
#else
#define IN_NEON64 ELSEWHERE
#endif
#if SPR_ARM32 && !defined(SPR_PLAIN_C)
#define IN_NEON32 HERE
#else
#define IN_NEON32 ELSEWHERE
#endif
#define IN_NEON_INORDER IN_NEON64
#define IN_INORDER_DOTPROD IN_NEON64
#define IN_DOTPROD IN_NEON64
#define IN_I8MM IN_NEON64
#define IN_FP16 IN_NEON64
#if SPR_X86_64 && !defined(SPR_PLAIN_C)
#define IN_AVX2 HERE
#else
#define IN_AVX2 ELSEWHERE
#endif
#define IN_AVX512 IN_AVX2
#define IN_VNNI IN_AVX2
#define IN_VBMI IN_AVX2
#define IN_AMX IN_AVX2

#define ISA_REF SPR_ISA_REF
#define ISA_NEON SPR_ISA_NEON
#define ISA_NEON64 SPR_ISA_NEON
#define ISA_NEON32 SPR_ISA_NEON
#define ISA_NEON_INORDER (SPR_ISA_NEON | SPR_ISA_INORDER)
#define ISA_INORDER_DOTPROD (SPR_ISA_NEON | SPR_ISA_INORDER | SPR_ISA_DOTPROD)
#define ISA_DOTPROD (SPR_ISA_NEON | SPR_ISA_DOTPROD)
#define ISA_I8MM (ISA_DOTPROD | SPR_ISA_I8MM)
#define ISA_FP16 (SPR_ISA_NEON | SPR_ISA_FP16)
#define ISA_AVX2 SPR_ISA_AVX2
#define ISA_AVX512 (SPR_ISA_AVX2 | SPR_ISA_AVX512)
#define ISA_VNNI (SPR_ISA_AVX2 | SPR_ISA_AVX512 | SPR_ISA_VNNI)
#define ISA_VBMI (SPR_ISA_AVX2 | SPR_ISA_AVX512 | SPR_ISA_VBMI)
#define ISA_AMX (ISA_VNNI | SPR_ISA_AMX)

#define PW(cls, name, isa, fn, packing, step, cost) spr_pw_fn fn; extern const spr_pw_packing packing;
#define FC(cls, name, isa, fn, packing, step, cost) spr_fc_fn fn; extern const spr_pw_packing packing;
#define CONV(cls, name, isa, fn, traits, step) spr_conv_fn fn; extern const spr_conv_traits traits;
#define POOL(name, isa, fn) spr_pool_fn fn;
#define UNARY(name, isa, fn) spr_unary_fn fn;
#define BINARY(name, isa, fn) spr_binary_fn fn;
#define PW_Q8(cls, name, isa, fn, packing, cost) spr_pw_q8_fn fn; extern const spr_pw_q8_packing packing;
#define FC_Q8(cls, name, isa, fn, packing) spr_fc_q8_fn fn; extern const spr_fc_q8_packing packing;
#define DW_Q8(name, isa, fn, traits) spr_dw_q8_fn fn; extern const spr_dw_q8_traits traits;
#define ONE_Q8(cls, type, name, isa, fn) spr_##type##_q8_fn fn;
#include "kernels/kernels.inc"
#undef PW
#undef FC
#undef CONV
#undef POOL
#undef UNARY
#undef BINARY
#undef PW_Q8
#undef FC_Q8
#undef DW_Q8
#undef ONE_Q8

#define COST(...) { __VA_ARGS__ } /* several arguments to the macros below */
#define NO_LINE(...)
#define PW_LINE(cls_, name_, isa_, fn, packing_, step, ...) \
    {.name = name_, .cls = SPR_K_##cls_, .isa = ISA_##isa_, .row_step = step, .run.pw = IN_##isa_(fn, NULL), \
     .packing = IN_##isa_(&packing_, NULL), .cost = __VA_ARGS__},
#define FC_LINE(cls_, name_, isa_, fn, packing_, step, ...) \
    {.name = name_, .cls = SPR_K_##cls_, .isa = ISA_##isa_, .row_step = step, .run.fc = IN_##isa_(fn, NULL), \
     .packing = IN_##isa_(&packing_, NULL), .cost = __VA_ARGS__},
#define CONV_LINE(cls_, name_, isa_, fn, traits_, step) \
    {.name = name_, .cls = SPR_K_##cls_, .isa = ISA_##isa_, .row_step = step, .run.conv = IN_##isa_(fn, NULL), \
     .conv = IN_##isa_(&traits_, NULL)},
#define POOL_LINE(name_, isa_, fn) \
    {.name = name_, .cls = SPR_K_POOL, .isa = ISA_##isa_, .row_step = 1, .run.pool = IN_##isa_(fn, NULL)},
#define UNARY_LINE(name_, isa_, fn) \
    {.name = name_, .cls = SPR_K_UNARY, .isa = ISA_##isa_, .row_step = 1, .run.unary = IN_##isa_(fn, NULL)},
#define BINARY_LINE(name_, isa_, fn) \
    {.name = name_, .cls = SPR_K_BINARY, .isa = ISA_##isa_, .row_step = 1, .run.binary = IN_##isa_(fn, NULL)},
#define PW_Q8_LINE(cls_, name_, isa_, fn, packing_, ...) \
    {.name = name_, .cls = SPR_K_##cls_##_Q8, .isa = ISA_##isa_, .row_step = SPR_Q8_GROUP, \
     .run.pw_q8 = IN_##isa_(fn, NULL), .packing_q8 = IN_##isa_(&packing_, NULL), .cost = __VA_ARGS__},
#define FC_Q8_LINE(cls_, name_, isa_, fn, packing_) \
    {.name = name_, .cls = SPR_K_##cls_##_Q8, .isa = ISA_##isa_, .row_step = 16, .run.fc_q8 = IN_##isa_(fn, NULL), \
     .fc_q8 = IN_##isa_(&packing_, NULL)},
#define DW_Q8_LINE(name_, isa_, fn, traits) \
    {.name = name_, .cls = SPR_K_DWCONV_Q8, .isa = ISA_##isa_, .row_step = SPR_Q8_GROUP, \
     .run.dw_q8 = IN_##isa_(fn, NULL), .dw_q8 = IN_##isa_(&traits, NULL)},
#define ONE_Q8_LINE(cls_, type, name_, isa_, fn) \
    {.name = name_, .cls = SPR_K_##cls_##_Q8, .isa = ISA_##isa_, .row_step = 1, .run.type##_q8 = IN_##isa_(fn, NULL)},

/* Lines of another architecture have no function. x86 lists them all the same, where tools/tailor.py chooses from them;
   devices have no use for them. */
#if SPR_X86_64
#define LISTED(line) line
#else
#define LISTED(line) NO_LINE
#endif
/* A tailored library has the lines that it keeps only. */
#define LINE(fn, isa_, line) SPR_KEPT(fn, IN_##isa_(line, LISTED(line)), NO_LINE)
#define PW(cls_, name_, isa_, fn, packing_, step, cost_) \
    LINE(fn, isa_, PW_LINE)(cls_, name_, isa_, fn, packing_, step, cost_)
#define FC(cls_, name_, isa_, fn, packing_, step, cost_) \
    LINE(fn, isa_, FC_LINE)(cls_, name_, isa_, fn, packing_, step, cost_)
#define CONV(cls_, name_, isa_, fn, traits_, step) \
    LINE(fn, isa_, CONV_LINE)(cls_, name_, isa_, fn, traits_, step)
#define POOL(name_, isa_, fn) LINE(fn, isa_, POOL_LINE)(name_, isa_, fn)
#define UNARY(name_, isa_, fn) LINE(fn, isa_, UNARY_LINE)(name_, isa_, fn)
#define BINARY(name_, isa_, fn) LINE(fn, isa_, BINARY_LINE)(name_, isa_, fn)
#define PW_Q8(cls_, name_, isa_, fn, packing_, cost_) \
    LINE(fn, isa_, PW_Q8_LINE)(cls_, name_, isa_, fn, packing_, cost_)
#define FC_Q8(cls_, name_, isa_, fn, packing_) LINE(fn, isa_, FC_Q8_LINE)(cls_, name_, isa_, fn, packing_)
#define DW_Q8(name_, isa_, fn, traits) LINE(fn, isa_, DW_Q8_LINE)(name_, isa_, fn, traits)
#define ONE_Q8(cls_, type, name_, isa_, fn) LINE(fn, isa_, ONE_Q8_LINE)(cls_, type, name_, isa_, fn)

const spr_kernel spr_kernels[] = {
#include "kernels/kernels.inc"
};
const size_t spr_kernel_count = SPR_COUNTOF(spr_kernels);

int spr_kernel_runs(const spr_kernel *kernel, uint32_t features) {
    return kernel->run.pw != NULL && (kernel->isa & ~features) == 0;
}

const spr_kernel *spr_kernel_best(spr_kernel_class cls, uint32_t features) {
    for (size_t i = 0; i < spr_kernel_count; i++)
        if (spr_kernels[i].cls == cls && spr_kernel_runs(&spr_kernels[i], features)) return &spr_kernels[i];
    return NULL;
}

const spr_kernel *spr_kernel_best_conv(spr_kernel_class cls, const spr_conv_shape *shape, uint32_t features) {
    for (size_t i = 0; i < spr_kernel_count; i++) {
        const spr_kernel *kernel = &spr_kernels[i];
        if (kernel->cls == cls && spr_kernel_runs(kernel, features) && kernel->conv->match(shape)) return kernel;
    }
    return NULL;
}

const spr_kernel *spr_kernel_best_dw_q8(const spr_window *win, uint32_t features) {
    for (size_t i = 0; i < spr_kernel_count; i++) {
        const spr_kernel *kernel = &spr_kernels[i];
        if (kernel->cls == SPR_K_DWCONV_Q8 && spr_kernel_runs(kernel, features) && kernel->dw_q8->match(win))
            return kernel;
    }
    return NULL;
}

const spr_kernel *spr_kernel_find(const char *name) {
    for (size_t i = 0; i < spr_kernel_count; i++)
        if (strcmp(spr_kernels[i].name, name) == 0) return &spr_kernels[i];
    return NULL;
}

const char *spr_kernel_class_name(spr_kernel_class cls) {
    static const char names[SPR_K_COUNT][16] = {
        [SPR_K_PW_DENSE] = "pw_dense", [SPR_K_PW_CSR] = "pw_csr", [SPR_K_PW_2X1] = "pw_2x1",
        [SPR_K_FC_DENSE] = "fc_dense", [SPR_K_FC_CSR] = "fc_csr", [SPR_K_CONV] = "conv",
        [SPR_K_DWCONV] = "dwconv",     [SPR_K_POOL] = "pool",     [SPR_K_UNARY] = "unary",
        [SPR_K_BINARY] = "binary",     [SPR_K_PW_DENSE_Q8] = "pw_dense_q8",
        [SPR_K_PW_1X4_Q8] = "pw_1x4_q8", [SPR_K_PW_2X4_Q8] = "pw_2x4_q8",
        [SPR_K_PW_CSR_Q8] = "pw_csr_q8", [SPR_K_PW_2X1_Q8] = "pw_2x1_q8",
        [SPR_K_FC_DENSE_Q8] = "fc_dense_q8",
        [SPR_K_DWCONV_Q8] = "dwconv_q8", [SPR_K_POOL_Q8] = "pool_q8",
        [SPR_K_BINARY_Q8] = "binary_q8", [SPR_K_TABLE_Q8] = "table_q8",
        [SPR_K_QUANTIZE_Q8] = "quantize_q8", [SPR_K_DEQUANTIZE_Q8] = "dequantize_q8",
    };
    return (unsigned)cls < SPR_K_COUNT ? names[cls] : NULL;
}

/* The i-th of names that each end with \0. */
static const char *name_at(const char *names, unsigned i) {
    while (i--) names += strlen(names) + 1;
    return names;
}

#define F(id, name, formula) name "\0"
const char *spr_function_name(spr_function fn) {
    return (unsigned)fn < SPR_FN_COUNT ? name_at(SPR_FUNCTIONS(F), fn) : NULL;
}

const char *spr_binary_name(spr_binary fn) {
    return (unsigned)fn < SPR_BIN_COUNT ? name_at(SPR_BINARIES(F), fn) : NULL;
}
#undef F
