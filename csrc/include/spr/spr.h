/* sparse-runtime: runs pruned neural networks faster, by not multiplying by their zeros.
 *
 *     spr_error err;
 *     spr_model *model;
 *     spr_session *session;
 *     if (spr_model_open("model.spr", NULL, &model, &err)) { puts(err.message); return 1; }
 *     if (spr_session_create(model, NULL, &session, &err)) { puts(err.message); return 1; }
 *     spr_session_set_input(session, 0, pixels, sizeof pixels, &err);      // copies
 *     if (spr_session_run(session, &err)) { puts(err.message); return 1; }
 *     spr_session_get_output(session, 0, scores, sizeof scores, &err);     // copies
 *     spr_session_free(session);
 *     spr_model_close(model);
 *
 * Models (.spr) are made by the converter (`sparse-runtime convert`). examples/c/classify.c is a whole program;
 * docs/c-api.md says how to build one. This file needs C99 or C++11; link libsparse_runtime, libm and pthreads.
 *
 * ORDER OF CALLS   spr_model_open*, spr_session_create, (spr_session_set_input_shape, spr_session_prepare,) for each
 * input spr_session_set_input, spr_session_run, for each output spr_session_get_output. Inputs stay as they are until
 * they are set anew or the shape changes, so that only what changed has to be set before the next run; inputs never
 * set hold zeros.
 *
 * TENSORS   go in and out as contiguous row-major arrays in the type and shape that spr_session_input and _output
 * tell; images are [batch, channel, row, column] unless the model was exported otherwise. Nothing is scaled or
 * converted: what the network was trained on (mean, deviation, order of the channels) is what it has to be given.
 *
 * ERRORS   Functions that can fail return a spr_status, SPR_OK being 0; where they take `err` and it is not NULL, it
 * gets the status and a message naming the node, tensor and value at fault. `err` is only written when something
 * fails. A call that fails changes nothing, except that outputs of a failed run are undefined; results by pointer
 * (`model`, `session`) are then NULL. No model file, input or argument in its range makes the library abort, exit or
 * print. Handles and pointers must be valid and not NULL where it is not said otherwise; the functions that free take
 * NULL.
 *
 * THREADS   There is no global state. A model does not change: any number of threads may use it and make sessions of
 * it at the same time. A session belongs to one thread at a time; different sessions, of one model or of several, are
 * independent. At every function stands one of
 *     [any thread]       may be called at any time from anywhere
 *     [one at a time]    not while another call with the same session, not marked [any thread], runs
 *     [last]             no other call with this handle may be running or follow
 * With spr_session_options.threads above 1 a session has threads of its own, which sleep between runs; results are the
 * same, bit for bit, for any number. fork() keeps none of them: make sessions after it.
 *
 * MEMORY   All comes from spr_model_options.allocator, else from malloc and, in large blocks, mmap. Planning
 * (spr_session_create or _prepare) allocates all that a session needs; spr_session_run allocates only in networks with
 * outputs whose shape depends on what is computed. A model opened from a path or descriptor is mapped and must not be
 * changed or shortened meanwhile; one opened from memory borrows the caller's bytes, which must stay until it is
 * closed. Names in the results live as long as the model.
 *
 * VERSIONS   Programs built with an older header run with a newer library of the same major and minor version. Structs
 * that begin with struct_size may grow at their end; the others never change. */
#ifndef SPR_SPR_H
#define SPR_SPR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* "0.1.0": of the library, to compare with the header's. [any thread] */
SPR_API const char *spr_version(void);

/* ---- errors ---------------------------------------------------------------------------------------------------- */

typedef enum spr_status {
    SPR_OK = 0,
    SPR_ERROR_ARGUMENT,    /* an argument is out of range, of the wrong size, or a call comes too early */
    SPR_ERROR_MEMORY,      /* allocation failed, or a thread could not be started */
    SPR_ERROR_IO,          /* a file cannot be opened, mapped or written */
    SPR_ERROR_FORMAT,      /* not a model, truncated, damaged, or of an unknown version */
    SPR_ERROR_UNSUPPORTED, /* an operator, attribute, type, option or CPU feature that this build does not have */
    SPR_ERROR_SHAPE        /* shapes that do not fit together */
} spr_status;

typedef struct spr_error {
    spr_status status;
    char message[1020]; /* UTF-8, one line, '\0' terminated */
} spr_error;

/* "ok", "invalid argument" ... [any thread] */
SPR_API const char *spr_status_name(spr_status status);

/* ---- tensors --------------------------------------------------------------------------------------------------- */

#define SPR_MAX_RANK 8

/* Element types; the numbers are those of ONNX's TensorProto.DataType. Booleans are bytes, 0 or 1. */
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
    SPR_QUANTIZED = 31 /* of values inside a network that computes in 8 bit integers: never an input, constant or
                          output */
} spr_dtype;

/* Bytes per element, 0 for an unknown type; "float32", "uint8" ... (numpy's names). [any thread] */
SPR_API size_t spr_dtype_size(spr_dtype dtype);
SPR_API const char *spr_dtype_name(spr_dtype dtype);

typedef struct spr_tensor_info {
    const char *name;
    spr_dtype dtype;
    int32_t rank;              /* -1: not known yet */
    int64_t dim[SPR_MAX_RANK]; /* -1: free, given by the session */
} spr_tensor_info;

/* Bytes of the whole tensor, what set_input and get_output take; 0 while its shape is not known. [any thread] */
SPR_API size_t spr_tensor_bytes(const spr_tensor_info *info);

/* ---- memory and messages ----------------------------------------------------------------------------------------- */

/* Where a model and its sessions get their memory from. Both functions are called from the threads that call into the
   library, never from a session's own threads: they must be safe for as many threads as use the model. */
typedef struct spr_allocator {
    void *context;
    /* `size` > 0 bytes at a multiple of `alignment`, a power of two from 16 to 64; NULL if there is no memory. */
    void *(*allocate)(void *context, size_t size, size_t alignment);
    /* What allocate returned, never NULL. */
    void (*release)(void *context, void *memory);
} spr_allocator;

typedef enum spr_log_level {
    SPR_LOG_DEBUG = 0, /* one line per layer: what runs it and why */
    SPR_LOG_INFO,      /* models opened, sessions planned */
    SPR_LOG_WARNING    /* something that was asked for and is not done, but is no error */
} spr_log_level;

/* Called with one line of UTF-8 without its end, from the thread that calls into the library. It must not call it
   again. */
typedef struct spr_logger {
    void *context;
    void (*log)(void *context, spr_log_level level, const char *message);
    spr_log_level level; /* from this level on */
} spr_logger;

/* ---- models ------------------------------------------------------------------------------------------------------ */

typedef struct spr_model spr_model;

typedef struct spr_model_options {
    size_t struct_size;             /* sizeof(spr_model_options), set by spr_model_options_init */
    const spr_allocator *allocator; /* of the model and all its sessions; copied. NULL: the system's */
    const spr_logger *logger;       /* likewise; NULL: nothing is told */
} spr_model_options;

static inline void spr_model_options_init(spr_model_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
}

/* A file, mapped. `options` may be NULL. The whole file is checked here: later nothing about it can be wrong.
   [any thread] */
SPR_API spr_status spr_model_open(const char *path, const spr_model_options *options, spr_model **model,
                                  spr_error *err);
/* `data` at any address that is a multiple of 4; borrowed until spr_model_close. [any thread] */
SPR_API spr_status spr_model_open_memory(const void *data, size_t size, const spr_model_options *options,
                                         spr_model **model, spr_error *err);
/* Maps `length` bytes from any `offset` of an open file (copies them if it is not a multiple of 4); the descriptor may
   be closed afterwards. [any thread] */
SPR_API spr_status spr_model_open_fd(int fd, int64_t offset, size_t length, const spr_model_options *options,
                                     spr_model **model, spr_error *err);
/* After all its sessions are freed. NULL: nothing. [last] */
SPR_API void spr_model_close(spr_model *model);

/* [any thread] */
SPR_API int spr_model_input_count(const spr_model *model);
SPR_API int spr_model_output_count(const spr_model *model);
/* index in [0, count); returns SPR_ERROR_ARGUMENT otherwise. [any thread] */
SPR_API spr_status spr_model_input(const spr_model *model, int index, spr_tensor_info *info);
/* The shape of an output follows from the inputs' shapes and is known to a session; here its rank is -1.
   [any thread] */
SPR_API spr_status spr_model_output(const spr_model *model, int index, spr_tensor_info *info);
/* Index by name, -1 if there is none. [any thread] */
SPR_API int spr_model_find_input(const spr_model *model, const char *name);
SPR_API int spr_model_find_output(const spr_model *model, const char *name);

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

typedef struct spr_session spr_session;

typedef enum spr_sparse {
    SPR_SPARSE_MODEL = 0, /* as the model was converted: auto unless it says otherwise */
    SPR_SPARSE_AUTO,      /* per layer whatever is estimated to be fastest on this CPU */
    SPR_SPARSE_ALWAYS,    /* sparse kernels for every layer stored sparse */
    SPR_SPARSE_NEVER      /* dense kernels only */
} spr_sparse;

typedef struct spr_session_options {
    size_t struct_size; /* sizeof(spr_session_options), set by spr_session_options_init */
    int threads;        /* 1 by default, up to 256; the calling thread is one of them */
    uint64_t cpu_mask;  /* bit i: the session's own threads may run on CPU i; 0: anywhere. The caller's is left
                           alone. */
    spr_sparse sparse;
    const char *isa;    /* comma list of feature names the kernels may use ("neon,dotprod", "avx2", "ref"); NULL: all.
                           The environment variable SPR_ISA, where it is set, narrows it further. */
    int profile;        /* not 0: time every layer */
    int autotune;       /* not 0: choose kernels by measuring them on this device, not by estimates. What is found is
                           kept beside the model, as <model file>.tune, for the next session on a like device. */
} spr_session_options;

static inline void spr_session_options_init(spr_session_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->threads = 1;
}

/* `options` may be NULL. Plans at once if all input shapes are known, otherwise at spr_session_prepare or _run. The
   model must stay open until the session is freed. [any thread] */
SPR_API spr_status spr_session_create(const spr_model *model, const spr_session_options *options, spr_session **session,
                                      spr_error *err);
/* Ends the session's threads. NULL: nothing. [last] */
SPR_API void spr_session_free(spr_session *session);

/* Resizing: gives an input another shape, any batch and spatial size that the network allows; the rank stays. Takes
   effect, and may be refused by a layer, at the next prepare or run; all inputs set before are lost. The present shape
   again changes nothing. [one at a time] */
SPR_API spr_status spr_session_set_input_shape(spr_session *session, int index, int rank, const int64_t *dim,
                                               spr_error *err);
/* Plans for the present shapes: chooses kernels, packs weights, allocates: milliseconds, with autotune up to seconds.
   Does nothing when that is done. set_input and run call it. [one at a time] */
SPR_API spr_status spr_session_prepare(spr_session *session, spr_error *err);

/* Present shapes; output shapes are known after prepare, or where they depend on what is computed (the boxes that a
   NonMaxSuppression keeps) after each run: before, the rank is -1. SPR_ERROR_ARGUMENT where index is not in [0, count),
   for outputs also before prepare. [one at a time] */
SPR_API spr_status spr_session_input(const spr_session *session, int index, spr_tensor_info *info);
SPR_API spr_status spr_session_output(const spr_session *session, int index, spr_tensor_info *info);

/* Copies `size` bytes, which must be exactly the tensor's, at any address. [one at a time] */
SPR_API spr_status spr_session_set_input(spr_session *session, int index, const void *data, size_t size,
                                         spr_error *err);
/* The same for one run, which may read `data` where they are, so that they must stay valid and unchanged until
   spr_session_run returns; before the run after that the input has to be set or lent again. Saves the copy where the
   input goes to an ordinary convolution, as images do, or to 8 bits first, and its planes are a multiple of 16 pixels.
   [one at a time] */
SPR_API spr_status spr_session_lend_input(spr_session *session, int index, const void *data, size_t size,
                                          spr_error *err);
/* Computes all outputs. [one at a time] */
SPR_API spr_status spr_session_run(spr_session *session, spr_error *err);
/* Copies an output of the last run; `size` must be exactly the tensor's. [one at a time] */
SPR_API spr_status spr_session_get_output(const spr_session *session, int index, void *data, size_t size,
                                          spr_error *err);

/* ---- what was done, and why ------------------------------------------------------------------------------------- */

/* Turns the timing of layers on or off, as options.profile does; costs about 0.1 us a layer. [one at a time] */
SPR_API void spr_session_set_profile(spr_session *session, int profile);

/* A table of the layers for people: operator, shape, share of zeros, kernel, time where profiled, why; below it sums,
   memory and CPU. Returns its length, of which the first size - 1 bytes and '\0' are written to `text` (as snprintf
   does: NULL and 0 to ask only). Before prepare it is empty. [one at a time] */
SPR_API size_t spr_session_explain(const spr_session *session, char *text, size_t size);

typedef struct spr_layer_info {
    size_t struct_size; /* to be set to sizeof(spr_layer_info) by the caller */
    const char *name;   /* node name */
    const char *op;     /* operator */
    const char *kernel; /* kernel chosen, or "" where the operator has only one way */
    const char *reason; /* why that kernel */
    spr_tensor_info output; /* first output */
    double macs;        /* multiply-accumulates a dense kernel would do */
    double sparsity;    /* share of zeros in the weights, -1 where the layer has none */
    double fill_2x1;    /* share of nonzeros in the nonempty 2x1 blocks, 1 where they have no zeros; -1 where the layer
                           has no weights */
    size_t weight_bytes; /* in the file */
    size_t packed_bytes; /* in memory */
    uint64_t ns;        /* time of the last run, 0 unless profiling */
    double balance;     /* mean by largest share of the work that falls to a thread, counted, not timed; 0 where the
                           work is not split or not counted */
} spr_layer_info;

/* Layers in the order in which they run, 0 before prepare; their strings are valid until the session is planned anew or
   freed. [one at a time] */
SPR_API int spr_session_layer_count(const spr_session *session);
SPR_API spr_status spr_session_layer(const spr_session *session, int index, spr_layer_info *info);

/* Bytes that a session holds, besides the mapped model. */
typedef struct spr_memory_info {
    size_t struct_size; /* to be set to sizeof(spr_memory_info) by the caller */
    size_t activations; /* arena of intermediate tensors, inputs and outputs */
    size_t weights;     /* packed weights and other constants */
    size_t scratch;     /* of all threads */
    size_t live;        /* the part of `activations` that is in use when most is: below this it cannot be */
} spr_memory_info;
/* SPR_ERROR_ARGUMENT before prepare. [one at a time] */
SPR_API spr_status spr_session_memory(const spr_session *session, spr_memory_info *info);

/* What came of autotune, one line for people: what was measured, where it is kept or why not. "" without autotune.
   Valid until the session is planned anew or freed. [one at a time] */
SPR_API const char *spr_session_tune_note(const spr_session *session);

typedef struct spr_kernel_info {
    size_t struct_size; /* to be set to sizeof(spr_kernel_info) by the caller */
    const char *name, *cls;
    char isa[64]; /* feature names it needs, comma separated; "ref" for plain C */
    int runs;     /* 1 if this CPU runs it */
} spr_kernel_info;
/* The kernels of this build. [any thread] */
SPR_API int spr_kernel_list_count(void);
SPR_API spr_status spr_kernel_list(int index, spr_kernel_info *info);

/* Feature names of this CPU that kernels may use, comma separated, into `text` of `size` bytes, '\0' terminated.
   [any thread] */
SPR_API void spr_cpu_describe(char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
