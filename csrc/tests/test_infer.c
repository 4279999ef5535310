/* Shape and type inference against results derived by hand from the operators' definitions. A case reads
 *
 *     op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("pads", "1 1 1 1"); gives("f32 1 4 8 8");
 *     op("Slice"); in("f32 9"); list("1"); list("7"); gives("f32 6");       list(): int64 contents
 *     ...                                             fails(SPR_ERROR_SHAPE, "text of the message"); */
#include <math.h>
#include <stdlib.h>

#include "tests/test.h"

#include "kernels/kernel.h"

#define MAX_VALUES 16

static spr_graph *graph;
static spr_infer_input inputs[MAX_VALUES];
static int64_t contents[MAX_VALUES][MAX_VALUES];
static float floats[MAX_VALUES][MAX_VALUES];
static int32_t in_values[MAX_VALUES], out_values[MAX_VALUES];
static int in_count, out_count, out_seen, node, status;
static spr_desc outputs[MAX_VALUES];
static const char *op_name;
static spr_error *err = &test_error;

static spr_dtype dtype_of(const char *text, const char **rest) {
    static const struct {
        const char *name;
        spr_dtype dtype;
    } types[] = {{"f32", SPR_FLOAT32}, {"f64", SPR_FLOAT64}, {"f16", SPR_FLOAT16}, {"i8", SPR_INT8},
                 {"u8", SPR_UINT8},    {"i16", SPR_INT16},   {"i32", SPR_INT32},   {"i64", SPR_INT64},
                 {"bool", SPR_BOOL},   {"u16", SPR_UINT16}, {"u32", SPR_UINT32}};
    size_t length = strcspn(text, " ");
    for (size_t i = 0; i < SPR_COUNTOF(types); i++)
        if (strlen(types[i].name) == length && !strncmp(text, types[i].name, length)) {
            *rest = text + length;
            return types[i].dtype;
        }
    printf("test_infer: no type in '%s'\n", text);
    exit(2);
}

static int numbers(const char *text, int64_t *v) {
    int n = 0;
    char *end;
    for (; *text; text = end) {
        v[n] = strtoll(text, &end, 10);
        if (end == text) break;
        n++;
    }
    return n;
}

static spr_desc desc_of(const char *text) {
    spr_desc d = {0};
    d.dtype = dtype_of(text, &text);
    int64_t v[MAX_VALUES];
    d.rank = numbers(text, v);
    memcpy(d.dim, v, sizeof(d.dim));
    return d;
}

/* Begins a case of an operator with a number of outputs. */
static void op_outs(const char *name, int outs) {
    spr_graph_free(graph);
    graph = spr_graph_new(NULL);
    memset(inputs, 0, sizeof(inputs));
    in_count = out_seen = 0;
    out_count = outs;
    node = -1;
    op_name = name;
}
static void op(const char *name) { op_outs(name, 1); }

static int add_in(spr_desc d) {
    static const char *const names[] = {"in0", "in1", "in2", "in3", "in4", "in5", "in6"};
    inputs[in_count].present = 1;
    inputs[in_count].desc = d;
    in_values[in_count] = spr_graph_add_input(graph, names[in_count], &d, err);
    return in_count++;
}
static void in(const char *text) { add_in(desc_of(text)); }
static void none(void) { in_values[in_count++] = -1; }
static void list(const char *text) {
    spr_desc d = {SPR_INT64, 1, {0}};
    d.dim[0] = numbers(text, contents[in_count]);
    int i = add_in(d);
    inputs[i].data = contents[i];
}
static void float_list(int n, float a, float b, float c, float d) {
    spr_desc desc = {SPR_FLOAT32, 1, {n}};
    float v[4] = {a, b, c, d};
    memcpy(floats[in_count], v, sizeof(v));
    int i = add_in(desc);
    inputs[i].data = floats[i];
}

/* The node, when all inputs are there. */
static int the_node(void) {
    static const char *const names[] = {"out0", "out1", "out2", "out3", "out4"};
    if (node >= 0) return node;
    for (int i = 0; i < out_count; i++) out_values[i] = spr_graph_add_value(graph, names[i], err);
    node = spr_graph_add_node(graph, op_name, "node", in_count, in_values, out_count, out_values, err);
    if (node < 0) {
        printf("test_infer: %s\n", err->message);
        exit(2);
    }
    return node;
}
static void set(const char *attr, int64_t v) { CHECK(!spr_graph_set_int(graph, the_node(), attr, v, err)); }
static void word(const char *attr, const char *v) { CHECK(!spr_graph_set_string(graph, the_node(), attr, v, err)); }
static void ints(const char *attr, const char *text) {
    int64_t v[MAX_VALUES];
    int n = numbers(text, v);
    CHECK(!spr_graph_set_ints(graph, the_node(), attr, v, n, err));
}

/* Runs the checks of the graph and then inference. */
static void infer(void) {
    memset(err, 0, sizeof(*err));
    the_node();
    for (int i = 0; i < out_count; i++) spr_graph_add_output(graph, out_values[i], err);
    status = spr_graph_check(graph, err);
    if (!status) status = spr_infer_node(graph, &graph->nodes[node], inputs, outputs, err);
}

static void expect(const char *text, int line) {
    char got[SPR_DIMS_TEXT];
    if (!out_seen) infer();
    int i = out_seen++;
    spr_desc d = desc_of(text);
    int ok = !status && d.dtype == outputs[i].dtype && d.rank == outputs[i].rank &&
             !memcmp(d.dim, outputs[i].dim, (size_t)d.rank * sizeof(*d.dim));
    if (!ok && !status)
        snprintf(err->message, sizeof(err->message), "got %s %s", spr_dtype_name(outputs[i].dtype),
                 spr_dims_text(got, outputs[i].rank, outputs[i].dim));
    test_note(ok, __FILE__, line, text);
}
static void expect_failure(spr_status expected, const char *text, int line) {
    infer();
    test_note_failure((spr_status)status, expected, text, __FILE__, line, text);
    test_note(strstr(err->message, "node 'node' (") && strstr(err->message, op_name), __FILE__, line,
              "names node and operator");
}
#define gives(text) expect(text, __LINE__)
#define fails(status, text) expect_failure(status, text, __LINE__)

/* ---- windows ----------------------------------------------------------------------------------------------------- */

static void test_conv(void) {
    op("Conv"); in("f32 2 3 8 9"); in("f32 4 3 3 3"); gives("f32 2 4 6 7");
    op("Conv"); in("f32 1 3 224 224"); in("f32 32 3 3 3"); ints("pads", "1 1 1 1"); ints("strides", "2 2");
        gives("f32 1 32 112 112");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 5"); ints("pads", "1 2 0 3"); gives("f32 1 4 7 9");
    op("Conv"); in("f32 1 6 8 8"); in("f32 4 3 3 3"); ints("dilations", "2 3"); set("group", 2); gives("f32 1 4 4 2");
    op("Conv"); in("f32 0 3 8 8"); in("f32 4 3 1 1"); gives("f32 0 4 8 8");
    op("Conv"); in("f32 1 3 0 8"); in("f32 4 3 1 1"); gives("f32 1 4 0 8");
    op("Conv");
    in("f32 1 3 0 8");
    in("f32 4 3 3 3");
    ints("pads", "1 1 1 1");
    ints("strides", "2 2");
    gives("f32 1 4 0 4");
    op("Conv"); in("f32 1 3 0 8"); in("f32 4 3 3 3"); fails(SPR_ERROR_SHAPE, "height: the window takes 3 pixels");
    op("Conv"); in("f32 1 3 2 8"); in("f32 4 3 3 3"); fails(SPR_ERROR_SHAPE, "height: the window takes 3 pixels");
    /* SAME: ceil(in / stride); 7 at stride 2 with kernel 3 pads 1 + 1, 8 pads 0 + 1 */
    op("Conv"); in("f32 1 3 7 8"); in("f32 4 3 3 3"); ints("strides", "2 2"); word("auto_pad", "SAME_UPPER");
        gives("f32 1 4 4 4");
    op("Conv"); in("f32 1 3 7 8"); in("f32 4 3 3 3"); ints("pads", "9 9 9 9"); word("auto_pad", "VALID");
        gives("f32 1 4 5 6");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); in("f32 4"); in("f32 1 4 6 6"); gives("f32 1 4 6 6");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); in("f32 3");
        fails(SPR_ERROR_SHAPE, "bias 'in2' float32 [3] should have the shape [4]");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); none(); in("f32 1 4 6 1"); fails(SPR_ERROR_SHAPE, "[1, 4, 6, 6]");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); none(); none(); in("f32 4 1 1"); word("act", "prelu");
        gives("f32 1 4 6 6");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); none(); none(); in("f32 3"); word("act", "prelu");
        fails(SPR_ERROR_SHAPE, "1 or 4 elements");
    op("Conv"); in("f32 1 4 8 8"); in("f32 4 3 3 3"); fails(SPR_ERROR_SHAPE, "should have group * 3 = 3 channels");
    op("Conv"); in("f32 1 6 8 8"); in("f32 5 3 3 3"); set("group", 2); fails(SPR_ERROR_SHAPE, "divide the 5 rows");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 9 3"); fails(SPR_ERROR_SHAPE, "height: the window takes 9 pixels");
    op("Conv"); in("f32 3 8 8"); in("f32 4 3 3 3");
        fails(SPR_ERROR_SHAPE, "'in0' float32 [3, 8, 8] should have 4 dimensions");
    op("Conv"); in("f64 1 3 8 8"); in("f64 4 3 3 3"); fails(SPR_ERROR_UNSUPPORTED, "supported: float32");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("strides", "0 1");
        fails(SPR_ERROR_UNSUPPORTED, "'strides' has the value 0");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("pads", "1 1");
        fails(SPR_ERROR_UNSUPPORTED, "'pads' has 2 values");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("pads", "2147483647 0 0 0");
        fails(SPR_ERROR_UNSUPPORTED, "below 2^31");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("dilations", "2147483647 1"); word("auto_pad", "SAME_LOWER");
        fails(SPR_ERROR_UNSUPPORTED, "below 2^31");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); ints("pads", "1000000 1000000 0 0");
        fails(SPR_ERROR_SHAPE, "their product at most 2^37");
    op("Conv"); in("f32 1 3 8 8"); in("f32 0 3 3 3"); fails(SPR_ERROR_UNSUPPORTED, "no dimension of 0");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); set("group", 0);
        fails(SPR_ERROR_UNSUPPORTED, "'group' has the value 0");
    op("Conv"); in("f32 1 3 8 8"); in("f32 4 3 3 3"); word("auto_pad", "SAME");
        fails(SPR_ERROR_UNSUPPORTED, "NOTSET SAME_UPPER");
}

static void test_windows(void) {
    spr_window w;
    op("Conv"); in("f32 1 3 7 8"); in("f32 4 3 3 3"); ints("strides", "2 2"); word("auto_pad", "SAME_UPPER");
    CHECK(!spr_resolve_window(graph, &graph->nodes[node], 7, 8, 3, 3, &w, err));
    CHECK(w.pt == 1 && w.pb == 1 && w.pl == 0 && w.pr == 1 && w.oh == 4 && w.ow == 4 && w.ih == 7 && w.iw == 8 &&
          w.kh == 3);
    word("auto_pad", "SAME_LOWER");
    CHECK(!spr_resolve_window(graph, &graph->nodes[node], 7, 8, 3, 3, &w, err));
    CHECK(w.pt == 1 && w.pb == 1 && w.pl == 1 && w.pr == 0);
    /* A stride above the kernel: no padding. */
    CHECK(!spr_resolve_window(graph, &graph->nodes[node], 9, 9, 1, 1, &w, err));
    CHECK(w.pt == 0 && w.pb == 0 && w.oh == 5);
    ints("dilations", "3 1");
    /* Reach 4: (5 - 1) * 2 + 4 - 10 = 2 pixels of padding. */
    CHECK(!spr_resolve_window(graph, &graph->nodes[node], 10, 10, 2, 2, &w, err));
    CHECK(w.pt == 1 && w.pb == 1 && w.dh == 3 && w.sh == 2);

    op("MaxPool"); in("f32 1 3 9 8"); ints("kernel_shape", "2 3"); gives("f32 1 3 8 6");
    op("AveragePool"); in("f32 1 3 9 8"); ints("kernel_shape", "3 3"); ints("strides", "2 2"); ints("pads", "1 1 1 1");
        gives("f32 1 3 5 4");
    /* ceil: (8 + 2 - 3) / 2 + 1 = 4.5 */
    op("MaxPool"); in("f32 1 3 9 8"); ints("kernel_shape", "3 3"); ints("strides", "2 2");
        ints("pads", "1 1 1 1"); set("ceil_mode", 1); gives("f32 1 3 5 5");
    /* ceil gives 3, but the third window would start at 4, in the right padding of [-1, 3] + 1 */
    op("MaxPool"); in("f32 1 1 4 4"); ints("kernel_shape", "1 2"); ints("strides", "4 4");
        ints("pads", "0 1 0 1"); set("ceil_mode", 1); gives("f32 1 1 1 2");
    op("MaxPool"); in("f32 1 1 2 2"); ints("kernel_shape", "2 2"); ints("strides", "3 3");
        ints("pads", "0 0 1 1"); set("ceil_mode", 1); gives("f32 1 1 1 1");
    /* a window that is larger than the input: ceil(-1 / 2) + 1 = 1, ceil(-2 / 2) + 1 = 0 */
    op("MaxPool"); in("f32 1 1 2 2"); ints("kernel_shape", "3 3"); ints("strides", "2 2"); set("ceil_mode", 1);
        gives("f32 1 1 1 1");
    op("MaxPool"); in("f32 1 1 2 1"); ints("kernel_shape", "3 3"); ints("strides", "2 2"); set("ceil_mode", 1);
        fails(SPR_ERROR_SHAPE, "width: the window takes 3 pixels");
    op("MaxPool"); in("f32 1 1 0 1"); ints("kernel_shape", "1 1"); ints("strides", "2 2"); set("ceil_mode", 1);
        gives("f32 1 1 0 1");
    op("MaxPool"); in("f32 1 1 3 3"); ints("kernel_shape", "2 2"); ints("strides", "2 2"); set("ceil_mode", 1);
        gives("f32 1 1 2 2");
    op("MaxPool"); in("f32 1 1 3 3"); ints("kernel_shape", "2 2"); ints("strides", "2 2"); set("ceil_mode", 1);
        word("auto_pad", "VALID"); gives("f32 1 1 1 1");
    op("MaxPool"); in("f32 1 1 3 3"); ints("kernel_shape", "2 2"); ints("strides", "2 2");
        word("auto_pad", "SAME_LOWER"); gives("f32 1 1 2 2");
    op("MaxPool"); in("f32 1 1 3 3"); fails(SPR_ERROR_UNSUPPORTED, "'kernel_shape' has 0 values");
    op("MaxPool"); in("f32 1 1 3 3"); ints("kernel_shape", "2 2"); ints("pads", "2 0 0 0");
        fails(SPR_ERROR_UNSUPPORTED, "smaller than the kernel");
    op("AveragePool"); in("f32 1 1 3 3"); ints("kernel_shape", "4 4");
        fails(SPR_ERROR_SHAPE, "height: the window takes 4 pixels");
    op("AveragePool"); in("i8 1 1 3 3"); ints("kernel_shape", "2 2");
        fails(SPR_ERROR_UNSUPPORTED, "'in0' int8 [1, 1, 3, 3]");
    op("GlobalAveragePool"); in("f32 2 5 7 7"); gives("f32 2 5 1 1");
    op("GlobalMaxPool"); in("f32 2 5 7 7 3"); gives("f32 2 5 1 1 1");
    op("GlobalMaxPool"); in("f32 2 5 0 7"); fails(SPR_ERROR_SHAPE, "no pixels");
    op("GlobalAveragePool"); in("f32 2 5"); fails(SPR_ERROR_SHAPE, "3 to 8 dimensions");
}

static void test_products(void) {
    op("FullyConnected"); in("f32 2 3 5"); in("f32 4 5"); in("f32 4"); gives("f32 2 3 4");
    op("FullyConnected"); in("f32 5"); in("f32 4 5"); gives("f32 4");
    op("FullyConnected"); in("f32 0 5"); in("f32 4 5"); gives("f32 0 4");
    op("FullyConnected"); in("f32 2 4"); in("f32 4 5");
        fails(SPR_ERROR_SHAPE, "of the input 'in0' float32 [2, 4] should be 5");
    op("FullyConnected"); in("f32 2 5"); in("f32 4 5"); none(); in("f32 4");
        fails(SPR_ERROR_SHAPE, "addend 'in3' float32 [4]");
    op("FullyConnected"); in("f32 2 0"); in("f32 4 0"); fails(SPR_ERROR_UNSUPPORTED, "no dimension of 0");
    op("MatMul"); in("f32 2 3"); in("f32 3 4"); gives("f32 2 4");
    op("MatMul"); in("f32 3"); in("f32 3 4"); gives("f32 4");
    op("MatMul"); in("f32 2 3"); in("f32 3"); gives("f32 2");
    op("MatMul"); in("f32 3"); in("f32 3"); gives("f32");
    op("MatMul"); in("f32 7 1 2 3"); in("f32 5 3 4"); gives("f32 7 5 2 4");
    op("MatMul"); in("f32 3"); in("f32 6 3 4"); gives("f32 6 4");
    op("MatMul"); in("f32 6 2 3"); in("f32 3"); gives("f32 6 2");
    op("MatMul"); in("f32 2 0"); in("f32 0 4"); gives("f32 2 4");
    op("MatMul"); in("f32 2 3"); in("f32 4 3"); fails(SPR_ERROR_SHAPE, "last but one");
    op("MatMul"); in("f32 2 2 3"); in("f32 5 3 4"); fails(SPR_ERROR_SHAPE, "cannot be broadcast");
    op("MatMul"); in("f32"); in("f32 3 4"); fails(SPR_ERROR_SHAPE, "1 to 8 dimensions");
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static void test_elementwise(void) {
    op("Unary"); in("f32 2 3"); word("fn", "exp"); gives("f32 2 3");
    op("Unary"); in("i64"); word("fn", "neg"); gives("i64");
    op("Unary"); in("i64 2"); word("fn", "exp"); fails(SPR_ERROR_UNSUPPORTED, "supported: float32");
    op("Unary");
    in("f16 2");
    word("fn", "abs");
    fails(SPR_ERROR_UNSUPPORTED, "supported: float32, float64, int32, int64");
    op("Unary"); in("f32 2 3 4 4"); in("f32 3 1 1"); word("fn", "prelu"); gives("f32 2 3 4 4");
    op("Unary"); in("f32 2 3 4 4"); in("f32 4"); word("fn", "prelu"); fails(SPR_ERROR_SHAPE, "one per channel");
    op("Unary"); in("f32 3"); in("f32 1"); word("fn", "prelu"); gives("f32 3");
    op("Unary"); in("f32 3"); in("f32 1"); fails(SPR_ERROR_FORMAT, "not 'prelu'");
    op("Unary"); in("f32 3"); word("fn", "prelu"); fails(SPR_ERROR_FORMAT, "needs the input 'slope'");
    op("Unary"); in("f32 3"); word("fn", "frobnicate");
        fails(SPR_ERROR_UNSUPPORTED, "'frobnicate'; accepted are none clip");
    op("Binary"); in("f32 2 1 4"); in("f32 3 1"); gives("f32 2 3 4");
    op("Binary"); in("i64 2"); in("i64"); word("fn", "mul"); gives("i64 2");
    op("Binary"); in("f32 0 3"); in("f32 1 3"); gives("f32 0 3");
    op("Binary"); in("f32 2"); in("f32 3"); fails(SPR_ERROR_SHAPE, "cannot be broadcast");
    op("Binary"); in("f32 2"); in("f32 0"); fails(SPR_ERROR_SHAPE, "cannot be broadcast");
    op("Binary"); in("f32 2"); in("f64 2"); fails(SPR_ERROR_UNSUPPORTED, "'in1' float64 [2] should have the same type");
    op("Binary"); in("i32 2"); in("i32 2"); word("act", "clip"); fails(SPR_ERROR_UNSUPPORTED, "supported: float32");
    op("Binary"); in("bool 2"); in("bool 2"); fails(SPR_ERROR_UNSUPPORTED, "'in0' bool [2]");
    op("Binary"); in("f32 2"); in("f32 2"); word("act", "prelu"); fails(SPR_ERROR_FORMAT, "not possible here");
    op("Binary"); in("f32 2147483647 1"); in("f32 1 2147483647");
        fails(SPR_ERROR_SHAPE, "output 'out0' would be [2147483647, 2147483647]");
    op("BatchNormalization"); in("f32 2 3 4"); in("f32 3"); in("f32 3"); in("f32 3"); in("f32 3"); gives("f32 2 3 4");
    op("BatchNormalization"); in("f32 2 3 4"); in("f32 3"); in("f32 3"); in("f32 4"); in("f32 3");
        fails(SPR_ERROR_SHAPE, "'in3' float32 [4] should have one element per channel");
    op("Softmax"); in("f32 2 3"); set("axis", -2); gives("f32 2 3");
    op("Softmax"); in("f32 2 3"); set("axis", 2); fails(SPR_ERROR_SHAPE, "axis 2 is not in [-2, 2)");
    op("ChannelShuffle"); in("f32 2 6 1 1"); set("group", 3); gives("f32 2 6 1 1");
    op("ChannelShuffle"); in("f32 2 6 1 1"); set("group", 4); fails(SPR_ERROR_SHAPE, "group 4 should divide");
    op("Identity"); in("bool 2 6"); gives("bool 2 6");
    op("Identity"); in("f32 3 -1"); fails(SPR_ERROR_SHAPE, "input 'in0' float32 [3, -1]: dimensions should be from 0");
    op("Cast"); in("f32 2"); set("to", SPR_INT64); gives("i64 2");
    op("Cast"); in("bool"); set("to", SPR_FLOAT16); gives("f16");
    op("Cast"); in("f32 2"); set("to", 8); fails(SPR_ERROR_UNSUPPORTED, "'to' is 8");
    op("Cast"); in("f32 2"); set("to", 4294967297); fails(SPR_ERROR_UNSUPPORTED, "'to' is 4294967297");
    op("QuantizeLinear"); in("f32 2 3"); in("f32"); gives("u8 2 3");
    op("QuantizeLinear"); in("f32 2 3"); in("f32 3"); in("i8 3"); gives("i8 2 3");
    op("QuantizeLinear"); in("f32 2 3"); in("f32 2"); in("i8 2"); set("axis", -2); gives("i8 2 3");
    op("QuantizeLinear"); in("f32 2 3"); in("f32 2"); in("i8 2"); fails(SPR_ERROR_UNSUPPORTED, "or the shape [3]");
    op("QuantizeLinear"); in("f32 2 3"); in("f32 3"); in("i8 1");
        fails(SPR_ERROR_SHAPE, "as many elements as the scale");
    op("QuantizeLinear"); in("f32"); in("f32 1"); in("f32 1");
        fails(SPR_ERROR_UNSUPPORTED, "supported: int8, uint8, int16, uint16");
    op("DequantizeLinear"); in("i8 2 3"); in("f32"); in("i8"); gives("f32 2 3");
    op("DequantizeLinear"); in("i32 2 3"); in("f32 3"); gives("f32 2 3");
    op("DequantizeLinear"); in("i8 2 3"); in("f32"); in("u8");
        fails(SPR_ERROR_UNSUPPORTED, "should have the type of 'in0'");
}

static void test_reduce(void) {
    op("Reduce"); in("f32 2 3 4"); gives("f32 1 1 1");
    op("Reduce"); in("f32 2 3 4"); set("keepdims", 0); gives("f32");
    op("Reduce"); in("f32 2 3 4"); list("-1 0"); gives("f32 1 3 1");
    op("Reduce"); in("f32 2 3 4"); list("1"); set("keepdims", 0); gives("f32 2 4");
    op("Reduce"); in("f32 2 3 4"); list(""); set("noop_with_empty_axes", 1); gives("f32 2 3 4");
    op("Reduce"); in("f32 2 3 4"); set("noop_with_empty_axes", 1); gives("f32 2 3 4");
    op("Reduce"); in("f32 2 3 4"); list(""); gives("f32 1 1 1");
    op("Reduce"); in("f32"); gives("f32");
    op("Reduce"); in("i64 2 3"); word("fn", "prod"); set("keepdims", 0); gives("i64");
    op("Reduce"); in("u32 2 3"); word("fn", "mean"); gives("u32 1 1");
    op("Reduce"); in("bool 2 3"); word("fn", "max"); gives("bool 1 1");
    op("Reduce"); in("f64 2 3"); word("fn", "log_sum"); gives("f64 1 1");
    op("Reduce"); in("i64 2 3"); word("fn", "l2"); fails(SPR_ERROR_UNSUPPORTED, "supported: float32, float64");
    op("Reduce");
    in("u8 2 3");
    word("fn", "sum");
    fails(SPR_ERROR_UNSUPPORTED, "supported: float32, float64, int32, uint32");
    op("Reduce"); in("f32 2 3 4"); list("1 -2"); fails(SPR_ERROR_SHAPE, "axis 1 twice");
    op("Reduce"); in("f32 2 3 4"); list("3"); fails(SPR_ERROR_SHAPE, "axis 3 is not in [-3, 3)");
    op("Reduce"); in("f32 2 3 4"); in("i64 2");
        fails(SPR_ERROR_UNSUPPORTED, "contents of 'in1' int64 [2], which are not known");
    op("Reduce"); in("f32 2 3 4"); in("f32 1"); fails(SPR_ERROR_UNSUPPORTED, "supported: int32, int64");
}

/* ---- moving data ------------------------------------------------------------------------------------------------- */

static void test_cutting(void) {
    op("Concat"); in("i8 2 3"); in("i8 2 0"); in("i8 2 4"); set("axis", -1); gives("i8 2 7");
    op("Concat"); in("f32 2 3"); gives("f32 2 3");
    op("Concat"); in("f32 2 3"); in("f32 2 4"); fails(SPR_ERROR_SHAPE, "'in1' float32 [2, 4] should agree");
    op("Concat"); in("f32 2 3"); in("i32 2 3"); fails(SPR_ERROR_SHAPE, "agree in type");
    op("Concat"); in("f32"); in("f32"); fails(SPR_ERROR_SHAPE, "axis 0 is not in");
    op_outs("Split", 3); in("f32 2 7"); set("axis", 1); gives("f32 2 3"); gives("f32 2 3"); gives("f32 2 1");
    op_outs("Split", 2); in("u8 6 1"); gives("u8 3 1"); gives("u8 3 1");
    op_outs("Split", 4); in("f32 5"); fails(SPR_ERROR_SHAPE, "4 parts of 2"); /* 2 + 2 + 2 is too much already */
    op_outs("Split", 3); in("f32 6"); list("1 0 5"); gives("f32 1"); gives("f32 0"); gives("f32 5");
    op_outs("Split", 2); in("f32 6"); list("1 4"); fails(SPR_ERROR_SHAPE, "add up to 5");
    op_outs("Split", 2); in("f32 6"); list("7 -1"); fails(SPR_ERROR_SHAPE, "part 0 has the size 7");
    op_outs("Split", 2); in("f32 6"); list("1 2 3"); fails(SPR_ERROR_SHAPE, "should have the shape [2]");
    op_outs("Split", 2); in("f32 6"); in("i64 2"); fails(SPR_ERROR_UNSUPPORTED, "not known before");
    op("Slice"); in("f32 4 9"); list("1 0"); list("3 99"); gives("f32 2 9");
    op("Slice"); in("f32 4 9"); list("-3"); list("-1"); list("1"); gives("f32 4 2");
    op("Slice"); in("f32 4 9"); list("0"); list("9"); list("-1"); list("4"); gives("f32 4 3");
    op("Slice"); in("f32 4 9"); list("-1"); list("-9223372036854775808"); list("1"); list("-1"); gives("f32 4 9");
    op("Slice"); in("f32 4 9"); list("20"); list("0"); list("1"); list("-3"); gives("f32 4 3"); /* 8 5 2 */
    op("Slice"); in("f32 4 9"); list("5"); list("2"); gives("f32 0 9");
    op("Slice"); in("f32 4 0"); list("0"); list("9223372036854775807"); list("1"); list("-9223372036854775808");
        gives("f32 4 0");
    op("Slice"); in("f32 4 9"); list("0"); list("9"); none(); list("2"); gives("f32 2 9");
    op("Slice"); in("f32 4 9"); list("0"); list("9"); list("0"); list("0"); fails(SPR_ERROR_SHAPE, "should not be 0");
    op("Slice"); in("f32 4 9"); list("0 0"); list("9 9"); list("0 -2"); fails(SPR_ERROR_SHAPE, "axis 0 twice");
    op("Slice"); in("f32 4 9"); list("0"); list("9 9"); fails(SPR_ERROR_SHAPE, "equal lengths");
    op("Slice"); in("f32 4"); list("0 0"); list("9 9"); fails(SPR_ERROR_SHAPE, "equal lengths");
    op("Gather"); in("f32 4 5 6"); in("i64 2 3"); set("axis", 1); gives("f32 4 2 3 6");
    op("Gather"); in("i64 4"); in("i32"); gives("i64");
    op("Gather"); in("f32 4 5"); list("-4 3"); gives("f32 2 5");
    op("Gather"); in("f32 4 5"); list("4"); fails(SPR_ERROR_SHAPE, "index 4 in 'in1' is not in [-4, 4)");
    op("Gather"); in("f32 0 5"); in("i64 1"); fails(SPR_ERROR_SHAPE, "nothing to gather");
    op("Gather"); in("f32 1 1 1 1 1"); in("i64 1 1 1 1 1"); fails(SPR_ERROR_UNSUPPORTED, "9 dimensions");
    op("Gather"); in("f32 4"); in("f32 1"); fails(SPR_ERROR_UNSUPPORTED, "supported: int32, int64");
    op("Pad"); in("f32 1 3 4 4"); list("0 0 1 2 0 0 3 4"); gives("f32 1 3 8 10");
    op("Pad"); in("f32 3 4"); list("-1 0 -2 1"); gives("f32 0 5");
    op("Pad"); in("f32 3 4"); list("1 2"); none(); list("-1"); gives("f32 3 7");
    op("Pad"); in("f32 3 4"); list("0 3 2 0"); word("mode", "reflect"); gives("f32 5 7");
    op("Pad"); in("f32 3 4"); list("3 0 0 0"); word("mode", "reflect");
        fails(SPR_ERROR_SHAPE, "less than the dimension");
    op("Pad"); in("f32 3 4"); list("-2 0 -2 0"); fails(SPR_ERROR_SHAPE, "no more may be removed");
    op("Pad"); in("f32 3 4"); list("-1 0 0 0"); word("mode", "edge"); fails(SPR_ERROR_SHAPE, "negative");
    op("Pad"); in("f32 0 4"); list("1 0 0 0"); word("mode", "edge"); fails(SPR_ERROR_SHAPE, "nothing to be repeated");
    op("Pad"); in("f32 3 4"); list("1 1");
        fails(SPR_ERROR_SHAPE, "two elements per padded axis of 'in0' float32 [3, 4], 4");
    op("Pad"); in("f32 3"); list("1 1"); in("i32"); fails(SPR_ERROR_SHAPE, "one element of the type");
    op("Pad"); in("f32 3"); list("-9223372036854775808 9223372036854775807"); fails(SPR_ERROR_SHAPE, "removed");
}

static void test_shapes(void) {
    op("Reshape"); in("f32 2 3 4"); list("0 -1"); gives("f32 2 12");
    op("Reshape"); in("f32 1"); list(""); gives("f32");
    op("Reshape"); in("f32"); list("1 1"); gives("f32 1 1");
    op("Reshape"); in("f32 0 3"); list("0 3"); set("allowzero", 1); gives("f32 0 3");
    op("Reshape"); in("f32 3 0"); list("3 0"); gives("f32 3 0");
    op("Reshape"); in("f32 3 0"); list("5 -1"); gives("f32 5 0");
    op("Reshape"); in("f32 0 3"); list("0 -1"); gives("f32 0 3");
    op("Reshape"); in("f32 2 0 3 4"); list("0 0 2 -1"); gives("f32 2 0 2 6");
    op("Reshape"); in("f32 2 0 3 4"); list("0 0 5 -1"); fails(SPR_ERROR_SHAPE, "no value of -1");
    op("Reshape"); in("f32 2 3"); list("-1 4294967296 4294967296"); fails(SPR_ERROR_SHAPE, "not possible");
    op("Reshape"); in("f32 0 3"); list("0 -1"); set("allowzero", 1); fails(SPR_ERROR_SHAPE, "no value of -1");
    op("Reshape"); in("f32 2 3"); list("4 -1"); fails(SPR_ERROR_SHAPE, "gives the 6 elements");
    op("Reshape"); in("f32 2 3"); list("-1 -1"); fails(SPR_ERROR_SHAPE, "more than one -1");
    op("Reshape"); in("f32 2 3"); list("7");
        fails(SPR_ERROR_SHAPE, "shape [7] has 7 elements, but 'in0' float32 [2, 3] has 6");
    op("Reshape"); in("f32 2 3"); list("2 3 0"); fails(SPR_ERROR_SHAPE, "dimension 2");
    op("Reshape"); in("f32 2 3"); list("-2 3"); fails(SPR_ERROR_SHAPE, "not possible");
    op("Reshape"); in("f32 2 3"); list("4294967296 4294967296 4294967296"); fails(SPR_ERROR_SHAPE, "not possible");
    op("Reshape"); in("f32 1"); list("1 1 1 1 1 1 1 1 1"); fails(SPR_ERROR_SHAPE, "at most 8");
    op("Flatten"); in("f32 2 3 4"); gives("f32 2 12");
    op("Flatten"); in("f32 2 3 4"); set("axis", 0); gives("f32 1 24");
    op("Flatten"); in("f32 2 3 4"); set("axis", 3); gives("f32 24 1");
    op("Flatten"); in("f32 2 3 4"); set("axis", -1); gives("f32 6 4");
    op("Flatten"); in("f32 2 3 4"); set("axis", 4); fails(SPR_ERROR_SHAPE, "axis 4 is not in [-3, 3]");
    op("Squeeze"); in("f32 1 3 1"); gives("f32 3");
    op("Squeeze"); in("f32 1 3 1"); list("-1"); gives("f32 1 3");
    op("Squeeze"); in("f32 1 3 1"); list("1");
        fails(SPR_ERROR_SHAPE, "dimension 1 of 'in0' float32 [1, 3, 1] should be 1");
    op("Unsqueeze"); in("f32 3 4"); list("-1 0"); gives("f32 1 3 4 1");
    op("Unsqueeze"); in("f32"); list("0"); gives("f32 1");
    op("Unsqueeze"); in("f32 3"); list("0 -3"); fails(SPR_ERROR_SHAPE, "axis 0 twice");
    op("Unsqueeze"); in("f32 3"); list("2"); fails(SPR_ERROR_SHAPE, "axis 2 is not in [-2, 2)");
    op("Unsqueeze"); in("f32 1 1 1 1 1"); list("0 1 2 3"); fails(SPR_ERROR_UNSUPPORTED, "9 dimensions");
    op("Transpose"); in("f32 2 3 4"); gives("f32 4 3 2");
    op("Transpose"); in("f32 2 3 4"); ints("perm", "1 0 2"); gives("f32 3 2 4");
    op("Transpose"); in("f32 2 3 4"); ints("perm", "1 0"); fails(SPR_ERROR_SHAPE, "perm has 2 elements");
    op("Transpose"); in("f32 2 3 4"); ints("perm", "1 0 1"); fails(SPR_ERROR_FORMAT, "not a permutation");
    op("Transpose"); in("f32 2 3 4"); ints("perm", "1 0 3"); fails(SPR_ERROR_FORMAT, "not a permutation");
    op("DepthToSpace"); in("f32 1 8 2 3"); gives("f32 1 2 4 6");
    op("DepthToSpace"); in("f32 1 6 2 3"); fails(SPR_ERROR_SHAPE, "multiple of blocksize^2, 4");
    op("SpaceToDepth"); in("f32 1 2 4 6"); gives("f32 1 8 2 3");
    op("SpaceToDepth"); in("f32 1 2 4 5"); fails(SPR_ERROR_SHAPE, "multiples of blocksize, 2");
    op("Expand"); in("f32 3 1"); list("2 1 4"); gives("f32 2 3 4");
    op("Expand"); in("f32 3 4"); list("1"); gives("f32 3 4");
    op("Expand"); in("f32 3 4"); list("2 4"); fails(SPR_ERROR_SHAPE, "with the shape [2, 4]");
    op("Tile"); in("f32 2 3"); list("2 0"); gives("f32 4 0");
    op("Tile"); in("f32 2 3"); list("2"); fails(SPR_ERROR_SHAPE, "repeats [2] should be one number");
    op("Tile"); in("f32 2 3"); list("2 -1"); fails(SPR_ERROR_SHAPE, "from 0");
    op("Tile"); in("f32 2 3"); list("2147483647 1"); fails(SPR_ERROR_SHAPE, "would be [4294967294, 3]");
    op("Shape"); in("f32 2 3 4"); gives("i64 3");
    op("Shape"); in("f32 2 3 4"); set("start", -2); gives("i64 2");
    op("Shape"); in("f32 2 3 4"); set("start", 2); set("end", -2); gives("i64 0");
    op("Shape"); in("f32 2 3 4"); set("start", -9); set("end", 9); gives("i64 3");
    op("Shape"); in("f32"); gives("i64 0");
    op("ConstantOfShape"); list("2 0 3"); gives("f32 2 0 3");
    op("ConstantOfShape"); list(""); in("i64 1"); gives("i64");
    op("ConstantOfShape"); list("2 -3"); fails(SPR_ERROR_SHAPE, "would be [2, -3]");
    op("ConstantOfShape"); list("2"); in("i64 2"); fails(SPR_ERROR_SHAPE, "should have one element");
}

static void test_resize(void) {
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(4, 1, 1, 2, 2); gives("f32 1 3 8 10");
    op("Resize"); in("f32 1 3 5 5"); none(); float_list(4, 1, 1, 0.6f, 0.5f);
        gives("f32 1 3 3 2"); /* 0.6f * 5 rounds to 3 */
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("1 3 7 9"); gives("f32 1 3 7 9");
    op("Resize"); in("f32 1 3 4 5"); in("f32 0"); in("f32 0"); list("1 3 7 9"); gives("f32 1 3 7 9");
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("7 9"); ints("axes", "-2 3"); gives("f32 1 3 7 9");
    /* 12 / 4 = 3, 9 / 5 = 1.8: not larger takes 1.8: 7.2, 9; not smaller takes 3: 12, 15 */
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("12 9"); ints("axes", "2 3");
        word("keep_aspect_ratio_policy", "not_larger"); gives("f32 1 3 7 9");
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("12 9"); ints("axes", "2 3");
        word("keep_aspect_ratio_policy", "not_smaller"); gives("f32 1 3 12 15");
    /* halfway is rounded up: 1 / 2 * 5 = 2.5 */
    op("Resize"); in("f32 1 3 2 5"); none(); none(); list("1 9"); ints("axes", "2 3");
        word("keep_aspect_ratio_policy", "not_larger"); gives("f32 1 3 1 3");
    op("Resize"); in("f32 1 3 8 8"); float_list(4, 0.25f, 0, 0.75f, 1); float_list(2, 2, 1, 0, 0);
        ints("axes", "2 3"); word("coordinate_transformation_mode", "tf_crop_and_resize"); gives("f32 1 3 8 8");
    op("Resize"); in("f32 1 3 8 8"); none(); float_list(2, 2, 1, 0, 0); ints("axes", "2 3");
        word("coordinate_transformation_mode", "tf_crop_and_resize"); fails(SPR_ERROR_SHAPE, "needs the input 'roi'");
    op("Resize"); in("f32 1 3 0 5"); none(); float_list(4, 1, 1, 2, 2); gives("f32 1 3 0 10");
    op("Resize"); in("f32 1 3 0 5"); none(); none(); list("1 3 2 5");
        fails(SPR_ERROR_SHAPE, "axis 2 of 'in0' float32 [1, 3, 0, 5] cannot be resized to 2");
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(4, 1, 1, 0, 2);
        fails(SPR_ERROR_SHAPE, "cannot be resized by 0");
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(4, 1, 1, NAN, 2);
        fails(SPR_ERROR_SHAPE, "cannot be resized by");
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(4, 1, 1, INFINITY, 2);
        fails(SPR_ERROR_SHAPE, "cannot be resized by inf");
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(3, 1, 1, 2, 2);
        fails(SPR_ERROR_SHAPE, "one element per resized axis, 4");
    op("Resize"); in("f32 1 3 4 5"); none(); float_list(4, 1, 1, 2, 2); list("1 3 7 9");
        fails(SPR_ERROR_SHAPE, "both of scales and sizes");
    op("Resize"); in("f32 1 3 4 5"); fails(SPR_ERROR_SHAPE, "neither of scales and sizes");
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("1 2"); ints("axes", "3 -1");
        fails(SPR_ERROR_SHAPE, "axis 3 twice");
    op("Resize"); in("i8 1 3 4 5"); none(); none(); list("1 3 7 9"); gives("i8 1 3 7 9");
    op("Resize"); in("i8 1 3 4 5"); none(); none(); list("1 3 7 9"); word("mode", "linear");
        fails(SPR_ERROR_UNSUPPORTED, "supported: float32");
    op("Resize"); in("f32 1 3 4 5"); none(); none(); list("1 3 7 9"); word("mode", "area");
        fails(SPR_ERROR_UNSUPPORTED, "nearest linear cubic");
}

static void test_comparing_and_searching(void) {
    op("Compare"); in("f32 2 1 3"); in("f32 4 1"); gives("bool 2 4 3");
    op("Compare"); in("f32 2 3"); in("f64 2 3"); fails(SPR_ERROR_UNSUPPORTED, "should have the same type");
    op("Compare"); in("f16 2 3"); in("f16 2 3"); fails(SPR_ERROR_UNSUPPORTED, "supported: float32, float64");
    op("Compare"); in("f32 2 3"); in("f32 2 4"); fails(SPR_ERROR_SHAPE, "cannot be broadcast");
    op("Compare");
    in("f32 2 3");
    in("f32 2 3");
    word("fn", "greater");
    fails(SPR_ERROR_UNSUPPORTED, "equal less less_equal");
    op("Where"); in("bool 2 1 3"); in("f16 4 1"); in("f16 1"); gives("f16 2 4 3");
    op("Where"); in("f32 2"); in("f32 2"); in("f32 2"); fails(SPR_ERROR_UNSUPPORTED, "supported: bool");
    op("Where"); in("bool 2"); in("f32 2"); in("i32 2"); fails(SPR_ERROR_UNSUPPORTED, "'in1' float32 [2] and 'in2'");
    op("Where"); in("bool 2"); in("f32 3"); in("f32 1"); fails(SPR_ERROR_SHAPE, "'in0' bool [2] and 'in1'");
    op("Where"); in("bool 2"); in("f32 2"); in("f32 3"); fails(SPR_ERROR_SHAPE, "'in1' float32 [2] and 'in2'");
    op("Binary"); in("bool 2"); in("bool 2"); word("fn", "min"); gives("bool 2");
    op("Binary"); in("bool 2"); in("bool 2"); fails(SPR_ERROR_UNSUPPORTED, "is not supported here");
    op("ArgReduce"); in("f32 2 3 4"); set("axis", -1); gives("i64 2 3 1");
    op("ArgReduce"); in("i8 2 3 4"); set("axis", 1); set("keepdims", 0); gives("i64 2 4");
    op("ArgReduce"); in("f32 2 0 4"); set("axis", 1); fails(SPR_ERROR_SHAPE, "there is no extreme");
    op("ArgReduce"); in("f32 2 3 4"); set("axis", 3); fails(SPR_ERROR_SHAPE, "axis 3");
    op_outs("TopK", 2); in("u8 2 9 4"); list("5"); set("axis", 1); gives("u8 2 5 4"); gives("i64 2 5 4");
    op_outs("TopK", 2); in("f32 2 9"); list("10"); fails(SPR_ERROR_SHAPE, "from 0 to 9");
    op_outs("TopK", 2); in("f32 2 9"); list("-1"); fails(SPR_ERROR_SHAPE, "from 0 to 9");
    op_outs("TopK", 2); in("f32 2 9"); in("i64 1"); fails(SPR_ERROR_UNSUPPORTED, "not known before the network runs");
    op("CumSum"); in("i32 2 9"); list("-2"); gives("i32 2 9");
    op("CumSum"); in("i8 2 9"); list("1"); fails(SPR_ERROR_UNSUPPORTED, "is not supported here");
    op("CumSum"); in("f32 2 9"); list("2"); fails(SPR_ERROR_SHAPE, "axis 2");
    op("Range"); list("3"); list("12"); list("4"); gives("i64 3");
    op("Range"); float_list(1, 0, 0, 0, 0); float_list(1, 1, 0, 0, 0); float_list(1, 0.25, 0, 0, 0); gives("f32 4");
    op("Range"); list("12"); list("3"); list("4"); gives("i64 0");
    op("Range"); list("0"); list("1"); list("0"); fails(SPR_ERROR_SHAPE, "should not be 0");
    op("Range"); list("0"); list("3 4"); list("1"); fails(SPR_ERROR_SHAPE, "should be one number");
    op("Range"); list("0"); list("9223372036854775807"); list("1"); fails(SPR_ERROR_SHAPE, "2^31 elements");
    op("Range"); float_list(1, 0, 0, 0, 0); float_list(1, NAN, 0, 0, 0); float_list(1, 1, 0, 0, 0);
        fails(SPR_ERROR_SHAPE, "2^31 elements");
}

static void test_recurrent(void) {
    op_outs("Recurrent", 3); in("f32 5 2 24"); in("f32 24 6"); gives("f32 5 2 6"); gives("f32 2 6"); gives("f32 2 6");
    op_outs("Recurrent", 3); in("f32 0 2 18"); in("f32 18 6"); in("f32 6"); in("f32 2 6"); none(); in("i32 2");
        word("cell", "gru"); gives("f32 0 2 6"); gives("f32 2 6"); gives("f32 2 6");
        op_outs("Recurrent", 3);
        in("f32 5 2 24");
        in("f32 24 6");
        word("cell", "rnn");
        fails(SPR_ERROR_SHAPE, "1 * hidden");
        op_outs("Recurrent", 3);
        in("f32 5 2 23");
        in("f32 24 6");
        fails(SPR_ERROR_SHAPE, "[time, batch, 4 * hidden]");
        op_outs("Recurrent", 3);
        in("f32 5 2 24");
        in("f32 24 6");
        none();
        in("f32 3 6");
        fails(SPR_ERROR_SHAPE, "the shape [2, 6]");
        op_outs("Recurrent", 3);
        in("f32 5 2 24");
        in("f32 24 6");
        none();
        none();
        none();
        in("i64 2");
        fails(SPR_ERROR_UNSUPPORTED, "supported: int32");
    op_outs("Recurrent", 3); in("f32 5 2 24"); in("f32 24 6"); none(); none(); none(); none(); in("f32 6");
        fails(SPR_ERROR_SHAPE, "the shape [18]");
        op_outs("Recurrent", 3);
        in("f32 5 2 24");
        in("f32 24 6");
        word("f", "gelu");
        fails(SPR_ERROR_UNSUPPORTED, "clip sigmoid");
}

static void test_indexing(void) {
    op("GatherElements"); in("f32 4 5 6"); in("i32 2 9 3"); set("axis", 1); gives("f32 2 9 3");
    op("GatherElements");
    in("f32 4 5 6");
    in("i32 5 9 3");
    set("axis", 1);
    fails(SPR_ERROR_SHAPE, "none larger but axis 1");
    op("GatherElements"); in("f32 4 5"); in("i64 4"); fails(SPR_ERROR_SHAPE, "as many dimensions");
    op("GatherElements"); in("f32 4 0"); in("i64 4 1"); set("axis", 1); fails(SPR_ERROR_SHAPE, "nothing to index");
    op("GatherElements"); in("f32 4"); in("f32 4"); fails(SPR_ERROR_UNSUPPORTED, "int32, int64");
    op("GatherND"); in("f32 4 5 6"); in("i64 7 2"); gives("f32 7 6");
    op("GatherND"); in("f32 4 5 6"); in("i64 4 7 1"); set("batch_dims", 1); gives("f32 4 7 6");
    op("GatherND");
    in("f32 4 5 6");
    in("i64 3 7 1");
    set("batch_dims", 1);
    fails(SPR_ERROR_SHAPE, "1 batch dimensions");
    op("GatherND"); in("f32 4 5"); in("i64 7 3"); fails(SPR_ERROR_SHAPE, "at most the number of dimensions");
    op("GatherND"); in("f32 2 2 2 2 2 2"); in("i64 1 1 1 1 1"); fails(SPR_ERROR_UNSUPPORTED, "would have 9 dimensions");
    op("GatherND"); in("f32 4 0"); in("i64 1 2"); fails(SPR_ERROR_SHAPE, "nothing to index");
    op("ScatterElements"); in("f16 4 5"); in("i64 2 3"); in("f16 2 3"); gives("f16 4 5");
    op("ScatterElements"); in("f16 4 5"); in("i64 2 3"); in("f16 2 3"); word("reduction", "add");
        fails(SPR_ERROR_UNSUPPORTED, "is not supported here");
        op("ScatterElements");
        in("f32 4 5");
        in("i64 2 3");
        in("f32 3 2");
        fails(SPR_ERROR_SHAPE, "the shape of the indices");
        op("ScatterElements");
        in("f32 4 5");
        in("i64 2 3");
        in("i32 2 3");
        fails(SPR_ERROR_UNSUPPORTED, "the same type");
        op("ScatterND");
        in("f32 4 5 6");
        in("i64 7 1");
        in("f32 7 5 6");
        gives("f32 4 5 6");
        op("ScatterND");
        in("f32 4 5 6");
        in("i64 7 2");
        in("f32 7 5");
        fails(SPR_ERROR_SHAPE, "the shape [7, 6]");
        op("ScatterND");
        in("f32 4");
        in("i64 1 1");
        in("f32 1");
        word("reduction", "sub");
        fails(SPR_ERROR_UNSUPPORTED, "none add mul max min");
    op("NonZero"); list("0 3 0 7 8"); gives("i64 1 3");
    op("NonZero"); in("f32 0 3"); gives("i64 2 0");
    op("NonZero"); in("f32 2 3"); fails(SPR_ERROR_UNSUPPORTED, "not known before the network runs");
        CHECK(inputs[0].needed);
    op("NonMaxSuppression"); in("f32 1 0 4"); in("f32 1 2 0"); gives("i64 0 3");
    op("NonMaxSuppression"); in("f32 1 0 5"); in("f32 1 2 0"); fails(SPR_ERROR_SHAPE, "[n, boxes, 4]");
    op("NonMaxSuppression"); in("f32 1 6 4"); in("f32 1 2 6"); fails(SPR_ERROR_UNSUPPORTED, "not known before");
    op("NonMaxSuppression");
    in("f32 1 0 4");
    in("f32 1 2 0");
    list("1 2");
    fails(SPR_ERROR_SHAPE, "should be one number");
    op("GridSample"); in("f32 2 3 8 9"); in("f32 2 4 5 2"); gives("f32 2 3 4 5");
    op("GridSample"); in("f32 2 3 8 9"); in("f32 1 4 5 2"); fails(SPR_ERROR_SHAPE, "[2, height, width, 2]");
    op("GridSample"); in("f32 2 3 0 9"); in("f32 2 4 5 2"); fails(SPR_ERROR_SHAPE, "no pixels");
    op("RoiAlign"); in("f32 2 3 8 9"); in("f32 5 4"); in("i64 5"); gives("f32 5 3 1 1");
    op("RoiAlign"); in("f32 2 3 8 9"); in("f32 5 4"); in("i64 4"); fails(SPR_ERROR_SHAPE, "[boxes, 4] and [boxes]");
    op("RoiAlign"); in("f32 2 3 8 9"); in("f32 5 5"); in("i64 5"); fails(SPR_ERROR_SHAPE, "[boxes, 4] and [boxes]");
    op("RoiAlign"); in("f32 2 3 0 9"); in("f32 5 4"); in("i64 5"); fails(SPR_ERROR_SHAPE, "no pixels");
    op("RoiAlign"); in("f32 2 3 8 9"); in("f32 5 4"); in("f32 5"); fails(SPR_ERROR_UNSUPPORTED, "int64");
    op("Bitwise"); in("i32 2 3"); in("i32 3"); gives("i32 2 3");
    op("Bitwise"); in("i32 2 3"); in("i32 2"); fails(SPR_ERROR_SHAPE, "broadcast");
    op("Bitwise"); in("f32 2 3"); in("f32 3"); fails(SPR_ERROR_UNSUPPORTED, "float32");
}

/* Against the elements that a loop visits. */
static void test_slice_arithmetic(void) {
    static const int64_t steps[] = {1, 2, 3, 7, -1, -2, -3, -7, INT64_MAX, INT64_MIN};
    for (int64_t dim = 0; dim < 6; dim++)
        for (int64_t start = -8; start <= 8; start++)
            for (int64_t end = -8; end <= 8; end++)
                for (size_t s = 0; s < SPR_COUNTOF(steps); s++) {
                    int64_t begin, count, wanted = 0, first = 0, step = steps[s];
                    int64_t from = start < 0 ? start + dim : start, to = end < 0 ? end + dim : end;
                    if (step < 0 && from < 0) from = 0; /* ONNX clamps to [0, dim - 1] where numpy finds nothing */
                    for (int64_t i = step > 0 ? 0 : dim - 1; i >= 0 && i < dim; i += step > 0 ? 1 : -1) {
                        if (step > 0 ? i < from || i >= to : i > from || i <= to) continue;
                        if (!wanted) first = i;
                        int64_t distance = i - first;
                        if (distance % step == 0) wanted++;
                    }
                    spr_resolve_slice(dim, start, end, step, &begin, &count);
                    CHECK(count == wanted && (!wanted || begin == first));
                }
    int32_t narrow[] = {-1, 7};
    int64_t wide[] = {-1, 1ll << 40};
    CHECK(spr_read_int(narrow, SPR_INT32, 1) == 7 && spr_read_int(narrow, SPR_INT32, 0) == -1);
    CHECK(spr_read_int(wide, SPR_INT64, 1) == 1ll << 40 && spr_read_int(wide, SPR_INT64, 0) == -1);
    CHECK(spr_normalize_axis(-1, 4) == 3 && spr_normalize_axis(3, 4) == 3 && spr_normalize_axis(4, 4) == -1 &&
          spr_normalize_axis(-5, 4) == -1 && spr_normalize_axis(0, 0) == -1 && spr_normalize_axis(INT64_MIN, 4) == -1);
}

/* Products that are small again modulo 2^64 too. */
static void test_sizes(void) {
    static const struct {
        int64_t dim[4];
        int valid;
    } cases[] = {
        {{1 << 18, 1 << 19, 1, 1}, 1},          {{1 << 18, 1 << 19, 2, 1}, 0},
        {{0, 1 << 18, 1 << 19, 1}, 1},          {{1 << 18, 1 << 18, 1 << 28, 1}, 0},
        {{1 << 18, 1 << 18, 1 << 28, 0}, 0},    {{1 << 18, 1 << 19, (1 << 27) + 1, 1}, 0},
        {{INT32_MAX, 64, INT32_MAX, 1}, 0},     {{INT32_MAX, 64, 1, 1}, 1},
        {{(int64_t)INT32_MAX + 1, 1, 1, 1}, 0}, {{-1, 1, 1, 1}, 0},
    };
    for (size_t i = 0; i < SPR_COUNTOF(cases); i++) {
        spr_desc desc = {.dtype = SPR_FLOAT32, .rank = 4};
        memcpy(desc.dim, cases[i].dim, sizeof cases[i].dim);
        CHECK(spr_desc_valid(&desc) == cases[i].valid);
    }
}

int main(void) {
    test_conv();
    test_windows();
    test_products();
    test_elementwise();
    test_reduce();
    test_cutting();
    test_shapes();
    test_resize();
    test_comparing_and_searching();
    test_indexing();
    test_recurrent();
    test_slice_arithmetic();
    test_sizes();
    spr_graph_free(graph);
    return test_result();
}
