/* What differs between compilers and instruction sets, in one place. */
#ifndef SPR_BASE_COMPILER_H
#define SPR_BASE_COMPILER_H

#if defined(__aarch64__)
#define SPR_AARCH64 1
#else
#define SPR_AARCH64 0
#endif
#if defined(__arm__)
#define SPR_ARM32 1
#else
#define SPR_ARM32 0
#endif
#define SPR_NEON (SPR_AARCH64 || SPR_ARM32)
#if defined(__x86_64__)
#define SPR_X86_64 1
#else
#define SPR_X86_64 0
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sparse-runtime supports little-endian targets only: .spr data is used in place"
#endif

/* Compiles what stands between PUSH and POP for an instruction set above the baseline, so that every build system can
   hand all files to the compiler with the same flags. Takes what __attribute__((target("..."))) takes. System headers
   (immintrin.h, arm_neon.h) must be included before PUSH. */
#define SPR_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define SPR_TARGET_PUSH(t) SPR_PRAGMA(clang attribute push(__attribute__((target(t))), apply_to = function))
#define SPR_TARGET_POP SPR_PRAGMA(clang attribute pop)
#else
#define SPR_TARGET_PUSH(t) SPR_PRAGMA(GCC push_options) SPR_PRAGMA(GCC target(t))
#define SPR_TARGET_POP SPR_PRAGMA(GCC pop_options)
#endif

/* Before a loop with constant bounds: unrolls it wholly. Arrays of vectors live in registers only then.
   SPR_UNROLL_TIMES: any loop, so many turns in one. */
#if defined(__clang__)
#define SPR_UNROLL _Pragma("clang loop unroll(full)")
#define SPR_UNROLL_TIMES(n) SPR_PRAGMA(clang loop unroll_count(n))
#else
#define SPR_UNROLL _Pragma("GCC unroll 64")
#define SPR_UNROLL_TIMES(n) SPR_PRAGMA(GCC unroll n)
#endif

#define SPR_INLINE static inline __attribute__((always_inline))
#define SPR_NOINLINE __attribute__((noinline))
#define SPR_COLD __attribute__((cold)) /* compiled for size: runs once per plan, among functions whose speed counts */
#define SPR_LIKELY(x) __builtin_expect(!!(x), 1)
#define SPR_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SPR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define SPR_ALIGNED(n) __attribute__((aligned(n)))
#define SPR_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

/* Cache line of every core we run on; buffers and planes are aligned to it. */
#define SPR_LINE 64

#endif
