/* sparse-runtime: runs pruned neural networks faster, by not multiplying by their zeros.
 *
 *     spr_error err;
 *     spr_model *model;
 *     spr_session *session;
 *     if (spr_model_open("model.spr", &model, &err)) { puts(err.message); return 1; }
 *     if (spr_session_create(model, NULL, &session, &err)) { puts(err.message); return 1; }
 *     spr_session_set_input(session, 0, pixels, sizeof pixels, &err);      // copies
 *     if (spr_session_run(session, &err)) { puts(err.message); return 1; }
 *     spr_session_get_output(session, 0, scores, sizeof scores, &err);     // copies
 *     spr_session_free(session);
 *     spr_model_close(model);
 *
 * Models are made by the converter (`sparse-runtime convert`). Tensors go in and out as contiguous row-major arrays.
 *
 * Errors: every function that can fail returns a spr_status, SPR_OK being 0, and, where `err` is not NULL, leaves there
 * a message naming the node, tensor and value at fault. No input makes the library abort, print or exit.
 *
 * Threads: there is no global state. A model is immutable and may be shared by sessions in any threads; it must outlive
 * them. A session belongs to one thread at a time; different sessions are independent.
 *
 * Memory: a model opened from a path or descriptor is mapped; one opened from memory borrows the caller's bytes, which
 * must stay until the model is closed. Names returned live as long as the model. */
#ifndef SPR_SPR_H
#define SPR_SPR_H

#include <stddef.h>
#include <stdint.h>

#define SPR_VERSION_MAJOR 0
#define SPR_VERSION_MINOR 1
#define SPR_VERSION_PATCH 0

#if defined(__GNUC__)
#define SPR_API __attribute__((visibility("default")))
#else
#define SPR_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---------------------------------------------------------------------------------------------------- */

typedef enum spr_status {
    SPR_OK = 0,
    SPR_ERROR_ARGUMENT,    /* an argument is out of range, of the wrong size, or a call comes too early */
    SPR_ERROR_MEMORY,      /* allocation failed */
    SPR_ERROR_IO,          /* a file cannot be opened, mapped or written */
    SPR_ERROR_FORMAT,      /* not a model, truncated, damaged, or of an unknown version */
    SPR_ERROR_UNSUPPORTED, /* an operator, attribute, type or CPU feature that this build does not have */
    SPR_ERROR_SHAPE,       /* shapes that do not fit together */
} spr_status;

typedef struct spr_error {
    spr_status status;
    char message[1020]; /* UTF-8, one line, '\0' terminated */
} spr_error;

/* "ok", "invalid argument" ... */
SPR_API const char *spr_status_name(spr_status status);

/* ---- tensors --------------------------------------------------------------------------------------------------- */

#define SPR_MAX_RANK 8

/* Element types; the numbers are those of ONNX's TensorProto.DataType. */
typedef enum spr_dtype {
    SPR_FLOAT32 = 1,
    SPR_UINT8 = 2,
    SPR_INT8 = 3,
    SPR_UINT16 = 4,
    SPR_INT16 = 5,
    SPR_INT32 = 6,
    SPR_INT64 = 7,
    SPR_BOOL = 9,
    SPR_FLOAT16 = 10,
    SPR_FLOAT64 = 11,
    SPR_UINT32 = 12,
    SPR_UINT64 = 13,
    SPR_QUANTIZED = 31, /* of values inside a network that computes in 8 bit integers: never an input, constant or output */
} spr_dtype;

/* Bytes per element, 0 for an unknown type; "float32", "uint8" ... (numpy's names). */
SPR_API size_t spr_dtype_size(spr_dtype dtype);
SPR_API const char *spr_dtype_name(spr_dtype dtype);

typedef struct spr_tensor_info {
    const char *name;
    spr_dtype dtype;
    int32_t rank;
    int64_t dim[SPR_MAX_RANK]; /* -1: free, given by the session */
} spr_tensor_info;

/* ---- models ------------------------------------------------------------------------------------------------------- */

typedef struct spr_model spr_model;

SPR_API spr_status spr_model_open(const char *path, spr_model **model, spr_error *err);
/* `data` at any address that is a multiple of 4; borrowed until spr_model_close. */
SPR_API spr_status spr_model_open_memory(const void *data, size_t size, spr_model **model, spr_error *err);
/* Maps `length` bytes from `offset` (any offset) of an open file; the descriptor may be closed afterwards. */
SPR_API spr_status spr_model_open_fd(int fd, int64_t offset, size_t length, spr_model **model, spr_error *err);
SPR_API void spr_model_close(spr_model *model);

SPR_API int spr_model_input_count(const spr_model *model);
SPR_API int spr_model_output_count(const spr_model *model);
/* index in [0, count); returns SPR_ERROR_ARGUMENT otherwise. */
SPR_API spr_status spr_model_input(const spr_model *model, int index, spr_tensor_info *info);
/* The shape of an output follows from the inputs' shapes and is known to a session; here its rank is -1. */
SPR_API spr_status spr_model_output(const spr_model *model, int index, spr_tensor_info *info);
/* Index by name, -1 if there is none. */
SPR_API int spr_model_find_input(const spr_model *model, const char *name);
SPR_API int spr_model_find_output(const spr_model *model, const char *name);

/* ---- sessions ----------------------------------------------------------------------------------------------------- */

typedef struct spr_session spr_session;

typedef enum spr_sparse {
    SPR_SPARSE_MODEL = 0, /* as the model was converted: auto unless it says otherwise */
    SPR_SPARSE_AUTO,      /* per layer whatever is estimated to be fastest on this CPU */
    SPR_SPARSE_ALWAYS,    /* sparse kernels for every layer stored sparse */
    SPR_SPARSE_NEVER,     /* dense kernels only */
} spr_sparse;

typedef struct spr_session_options {
    size_t struct_size; /* sizeof(spr_session_options), set by spr_session_options_init */
    int threads;        /* 1 by default; the calling thread is one of them */
    uint64_t cpu_mask;  /* bit i: the session's own threads may run on CPU i; 0: anywhere. The caller's is left alone. */
    spr_sparse sparse;
    const char *isa;    /* comma list of feature names the kernels may use ("neon,dotprod", "avx2", "ref"); NULL: all */
    int profile;        /* not 0: time every layer */
    int autotune;       /* not 0: choose kernels by measuring them on this device, not by estimates. What is found is kept
                           beside the model, as <model file>.tune, for the next session on a like device. */
} spr_session_options;

SPR_API void spr_session_options_init(spr_session_options *options);

/* `options` may be NULL. Plans at once if all input shapes are known, otherwise at spr_session_prepare or _run. */
SPR_API spr_status spr_session_create(const spr_model *model, const spr_session_options *options, spr_session **session,
                                      spr_error *err);
SPR_API void spr_session_free(spr_session *session);

/* Gives an input another shape: any batch and spatial size that the network allows. Takes effect at the next prepare or
   run; inputs set before are lost. */
SPR_API spr_status spr_session_set_input_shape(spr_session *session, int index, int rank, const int64_t *dim,
                                               spr_error *err);
/* Plans for the present shapes: chooses kernels, packs weights, allocates. Does nothing when that is done. */
SPR_API spr_status spr_session_prepare(spr_session *session, spr_error *err);

/* Present shapes; output shapes are known after prepare, or where they depend on what is computed (the boxes that a
   NonMaxSuppression keeps) after each run: before, the rank is -1. */
SPR_API spr_status spr_session_input(const spr_session *session, int index, spr_tensor_info *info);
SPR_API spr_status spr_session_output(const spr_session *session, int index, spr_tensor_info *info);

/* Copies `size` bytes, which must be exactly the tensor's. */
SPR_API spr_status spr_session_set_input(spr_session *session, int index, const void *data, size_t size, spr_error *err);
SPR_API spr_status spr_session_run(spr_session *session, spr_error *err);
SPR_API spr_status spr_session_get_output(const spr_session *session, int index, void *data, size_t size,
                                          spr_error *err);

/* ---- what was done, and why ------------------------------------------------------------------------------------- */

typedef struct spr_layer_info {
    const char *name;   /* node name */
    const char *op;     /* operator */
    const char *kernel; /* kernel chosen, or "" where the operator has only one way */
    const char *reason; /* why that kernel */
    spr_tensor_info output; /* first output */
    double macs;        /* multiply-accumulates a dense kernel would do */
    double sparsity;    /* share of zeros in the weights, -1 where the layer has none */
    double fill_2x1;    /* share of nonzeros in the nonempty 2x1 blocks, -1 where the layer is not sparse */
    size_t weight_bytes; /* in the file */
    size_t packed_bytes; /* in memory */
    uint64_t ns;        /* time of the last run, 0 unless profiling */
    double balance;     /* mean by largest share of the work that falls to a thread, counted, not timed; 0 where the work is
                           not split or not counted */
} spr_layer_info;

/* Layers in the order in which they run; valid until the session is replanned or freed. */
SPR_API int spr_session_layer_count(const spr_session *session);
SPR_API spr_status spr_session_layer(const spr_session *session, int index, spr_layer_info *info);

typedef struct spr_memory_info {
    size_t activations; /* arena of intermediate tensors, inputs and outputs */
    size_t weights;     /* packed weights and other constants */
    size_t scratch;     /* of all threads */
    size_t live;        /* the part of `activations` that is in use when most is: below this it cannot be */
} spr_memory_info;
/* What came of autotune, one line for people: what was measured, where it is kept or why not. "" without autotune. */
SPR_API const char *spr_session_tune_note(const spr_session *session);

SPR_API spr_status spr_session_memory(const spr_session *session, spr_memory_info *info);

typedef struct spr_kernel_info {
    const char *name, *cls;
    char isa[64]; /* feature names it needs, comma separated; "ref" for plain C */
    int runs;     /* 1 if this CPU runs it */
} spr_kernel_info;
SPR_API int spr_kernel_list_count(void);
SPR_API spr_status spr_kernel_list(int index, spr_kernel_info *info);

/* Feature names of this CPU, comma separated, into `text` of `size` bytes. */
SPR_API void spr_cpu_describe(char *text, size_t size);

/* "0.1.0" */
SPR_API const char *spr_version(void);

#ifdef __cplusplus
}
#endif
#endif
