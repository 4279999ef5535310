# The C core as Cython sees it: spr.h, and of the internals what conversion needs.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "spr/spr.h" nogil:
    enum: SPR_MAX_RANK

    ctypedef enum spr_status:
        SPR_OK

    ctypedef struct spr_error:
        spr_status status
        char message[1020]

    ctypedef enum spr_dtype:
        SPR_QUANTIZED

    size_t spr_dtype_size(spr_dtype dtype)
    const char *spr_dtype_name(spr_dtype dtype)

    ctypedef struct spr_tensor_info:
        const char *name
        spr_dtype dtype
        int32_t rank
        int64_t dim[8]

    ctypedef struct spr_allocator
    ctypedef struct spr_model_options
    ctypedef struct spr_model
    spr_status spr_model_open(const char *path, const spr_model_options *options, spr_model **model, spr_error *err)
    spr_status spr_model_open_memory(const void *data, size_t size, const spr_model_options *options, spr_model **model,
                                     spr_error *err)
    void spr_model_close(spr_model *model)
    int spr_model_input_count(const spr_model *model)
    int spr_model_output_count(const spr_model *model)
    spr_status spr_model_input(const spr_model *model, int index, spr_tensor_info *info)
    spr_status spr_model_output(const spr_model *model, int index, spr_tensor_info *info)

    ctypedef enum spr_sparse:
        SPR_SPARSE_MODEL
        SPR_SPARSE_AUTO
        SPR_SPARSE_ALWAYS
        SPR_SPARSE_NEVER

    ctypedef struct spr_session_options:
        size_t struct_size
        int threads
        uint64_t cpu_mask
        spr_sparse sparse
        const char *isa
        int profile
        int autotune

    ctypedef struct spr_session
    void spr_session_options_init(spr_session_options *options)
    spr_status spr_session_create(const spr_model *model, const spr_session_options *options, spr_session **session,
                                  spr_error *err)
    void spr_session_free(spr_session *session)
    spr_status spr_session_set_input_shape(
        spr_session *session, int index, int rank, const int64_t *dim, spr_error *err)
    spr_status spr_session_prepare(spr_session *session, spr_error *err)
    spr_status spr_session_input(const spr_session *session, int index, spr_tensor_info *info)
    spr_status spr_session_output(const spr_session *session, int index, spr_tensor_info *info)
    spr_status spr_session_lend_input(spr_session *session, int index, const void *data, size_t size, spr_error *err)
    spr_status spr_session_run(spr_session *session, spr_error *err)
    spr_status spr_session_get_output(const spr_session *session, int index, void *data, size_t size, spr_error *err)

    ctypedef struct spr_layer_info:
        size_t struct_size
        const char *name
        const char *op
        const char *kernel
        const char *reason
        spr_tensor_info output
        double macs
        double sparsity
        double fill_2x1
        size_t weight_bytes
        size_t packed_bytes
        uint64_t ns
        double balance

    int spr_session_layer_count(const spr_session *session)
    spr_status spr_session_layer(const spr_session *session, int index, spr_layer_info *info)

    ctypedef struct spr_memory_info:
        size_t struct_size
        size_t activations
        size_t weights
        size_t scratch
        size_t live

    const char *spr_session_tune_note(const spr_session *session)
    spr_status spr_session_memory(const spr_session *session, spr_memory_info *info)

    ctypedef struct spr_kernel_info:
        size_t struct_size
        const char *name
        const char *cls
        char isa[64]
        int runs

    int spr_kernel_list_count()
    spr_status spr_kernel_list(int index, spr_kernel_info *info)
    void spr_cpu_describe(char *text, size_t size)
    const char *spr_version()

cdef extern from "graph/graph.h" nogil:
    enum: SPR_OP_COUNT

    ctypedef enum spr_op:
        pass

    ctypedef enum spr_attr_type:
        SPR_TYPE_INT
        SPR_TYPE_FLOAT
        SPR_TYPE_INTS
        SPR_TYPE_STRING

    ctypedef struct spr_attr_schema:
        const char *name
        spr_attr_type type
        const char *value

    ctypedef struct spr_op_schema:
        const char *name
        const char *inputs
        const char *outputs
        int attr_count
        spr_attr_schema attrs[16]

    spr_op_schema spr_op_get_schema(spr_op op)
    const char *spr_op_name(spr_op op)

    ctypedef struct spr_desc:
        spr_dtype dtype
        int32_t rank
        int64_t dim[8]

    ctypedef enum spr_encoding:
        SPR_ENC_DENSE
        SPR_ENC_BITMAP
        SPR_ENC_BITMAP_2X1

    ctypedef struct spr_value:
        const char *name
        uint8_t is_const
        uint8_t encoding
        spr_desc desc
        size_t bytes

    ctypedef union spr_attr:
        int64_t i
        const char *s

    ctypedef struct spr_node:
        spr_op op
        int32_t in_count, out_count
        const int32_t *in_ "in"
        const int32_t *out
        const spr_attr *attr

    ctypedef struct spr_graph:
        spr_value *values
        spr_node *nodes
        int32_t *inputs
        int32_t value_count
        int32_t node_count
        int32_t input_count
        spr_sparse sparse

    spr_graph *spr_graph_new(const spr_allocator *allocator)
    void spr_graph_free(spr_graph *graph)
    int spr_graph_add_input(spr_graph *graph, const char *name, const spr_desc *desc, spr_error *err)
    int spr_graph_add_const(spr_graph *graph, const char *name, const spr_desc *desc, spr_encoding encoding,
                            const void *data, size_t bytes, spr_error *err)
    int spr_graph_add_value(spr_graph *graph, const char *name, spr_error *err)
    int spr_graph_add_node(spr_graph *graph, const char *op, const char *name, int in_count, const int32_t *ins,
                           int out_count, const int32_t *outs, spr_error *err)
    spr_status spr_graph_set_int(spr_graph *graph, int node, const char *attr, int64_t value, spr_error *err)
    spr_status spr_graph_set_float(spr_graph *graph, int node, const char *attr, double value, spr_error *err)
    spr_status spr_graph_set_string(spr_graph *graph, int node, const char *attr, const char *value, spr_error *err)
    spr_status spr_graph_set_ints(spr_graph *graph, int node, const char *attr, const int64_t *v, int n, spr_error *err)
    spr_status spr_graph_add_output(spr_graph *graph, int value, spr_error *err)

cdef extern from "model/model.h" nogil:
    spr_status spr_graph_set_producer(spr_graph *graph, const char *text, spr_error *err)
    spr_status spr_graph_write(const spr_graph *graph, void **data, size_t *size, spr_error *err)
    const spr_graph *spr_model_graph(const spr_model *model)

cdef extern from "runtime/plan.h" nogil:
    ctypedef struct spr_view:
        spr_desc desc

    ctypedef struct spr_plan:
        spr_view *views
        uint8_t *is_late

    ctypedef struct spr_plan_options:
        uint32_t features
        int threads
        spr_sparse sparse
        int shapes_only
        int partial

    spr_status spr_plan_create(const spr_graph *graph, const spr_desc *inputs, const spr_plan_options *options,
                               spr_plan **plan, spr_error *err)
    void spr_plan_free(spr_plan *plan)
