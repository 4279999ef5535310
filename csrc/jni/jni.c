/* The C side of the Java API in android/: dev.sparseruntime.Native, whose methods are registered when the library is
 * loaded, so that nothing but JNI_OnLoad has to be exported for Java.
 *
 * Rules kept here: handles are checked for 0; nothing is called through JNI once an exception is pending; a native
 * method makes at most a handful of local references, and loops delete theirs; texts cross as UTF-8 in byte[], because
 * JNI's own strings are not UTF-8 (CheckJNI aborts on what is beyond the basic plane). Java sees to it that a handle is
 * used by one thread at a time and never after it was closed. */
#include <jni.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "spr/spr.h"

/* dev.sparseruntime.TensorInfo.ROOM, LayerInfo.LONGS, MemoryInfo.ROOM */
enum { TENSOR_ROOM = 2 + SPR_MAX_RANK, LAYER_LONGS = TENSOR_ROOM + 3, LAYER_TEXTS = 5, MEMORY_ROOM = 3 };

/* Set once by JNI_OnLoad; the class stays loaded because its loader owns this library. */
static jclass exception_class;
static jmethodID exception_init;

static jbyteArray new_text(JNIEnv *env, const char *text, size_t length) {
    jbyteArray bytes = (*env)->NewByteArray(env, (jsize)length);
    if (bytes) (*env)->SetByteArrayRegion(env, bytes, 0, (jsize)length, (const jbyte *)text);
    return bytes;
}

static void throw_error(JNIEnv *env, spr_status status, const char *message) {
    jbyteArray text = new_text(env, message, strlen(message));
    if (!text) return; /* an OutOfMemoryError is pending */
    jobject exception = (*env)->NewObject(env, exception_class, exception_init, (jint)status, text);
    if (exception) (*env)->Throw(env, (jthrowable)exception);
}

static int check(JNIEnv *env, spr_status status, const spr_error *err) {
    if (status) throw_error(env, status, err->message);
    return status == SPR_OK;
}

/* A handle as what it stands for; NULL with an exception pending if it is none. */
static void *from_handle(JNIEnv *env, jlong handle) {
    if (!handle) throw_error(env, SPR_ERROR_ARGUMENT, "the model or session is closed");
    return (void *)(uintptr_t)handle;
}

static jlong to_handle(const void *p) { return (jlong)(uintptr_t)p; }

/* A byte[] as a C string on the heap, to be freed; NULL with an exception pending. `bytes` is not null. */
static char *get_text(JNIEnv *env, jbyteArray bytes) {
    jsize length = (*env)->GetArrayLength(env, bytes);
    char *text = malloc((size_t)length + 1);
    if (!text) {
        throw_error(env, SPR_ERROR_MEMORY, "out of memory: cannot allocate a string");
        return NULL;
    }
    (*env)->GetByteArrayRegion(env, bytes, 0, length, (jbyte *)text);
    text[length] = '\0';
    return text;
}

/* Address of [offset, offset + size) of a direct buffer; NULL with an exception pending. Java has checked the range. */
static void *direct_address(JNIEnv *env, jobject buffer, jlong offset) {
    char *address = buffer ? (*env)->GetDirectBufferAddress(env, buffer) : NULL;
    if (address) return address + offset;
    throw_error(env, SPR_ERROR_ARGUMENT, "the buffer is not direct, or this Java machine does not give its address");
    return NULL;
}

/* ---- models ----------------------------------------------------------------------------------------------------- */

static jbyteArray native_version(JNIEnv *env, jclass cls) {
    (void)cls;
    return new_text(env, spr_version(), strlen(spr_version()));
}

static jbyteArray native_cpu_features(JNIEnv *env, jclass cls) {
    char text[256];
    (void)cls;
    spr_cpu_describe(text, sizeof text);
    return new_text(env, text, strlen(text));
}

static jlong native_open_file(JNIEnv *env, jclass cls, jbyteArray path) {
    (void)cls;
    spr_error err;
    spr_model *model = NULL;
    char *text = get_text(env, path);
    if (!text) return 0;
    spr_status status = spr_model_open(text, NULL, &model, &err);
    free(text);
    return check(env, status, &err) ? to_handle(model) : 0;
}

static jlong native_open_buffer(JNIEnv *env, jclass cls, jobject buffer, jlong size) {
    (void)cls;
    spr_error err;
    spr_model *model = NULL;
    void *data = direct_address(env, buffer, 0);
    if (!data || (uintptr_t)data % 4) return 0;
    return check(env, spr_model_open_memory(data, (size_t)size, NULL, &model, &err), &err) ? to_handle(model) : 0;
}

static jlong native_open_fd(JNIEnv *env, jclass cls, jint fd, jlong offset, jlong length) {
    (void)cls;
    spr_error err;
    spr_model *model = NULL;
    if (length < 0 || (uint64_t)length > SIZE_MAX) {
        throw_error(env, SPR_ERROR_ARGUMENT, "the length is negative or too large for this system");
        return 0;
    }
    return check(env, spr_model_open_fd(fd, offset, (size_t)length, NULL, &model, &err), &err) ? to_handle(model) : 0;
}

static void native_close_model(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    spr_model *model = from_handle(env, handle);
    if (model) spr_model_close(model);
}

static jint native_input_count(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    const spr_model *model = from_handle(env, handle);
    return model ? spr_model_input_count(model) : 0;
}

static jint native_output_count(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    const spr_model *model = from_handle(env, handle);
    return model ? spr_model_output_count(model) : 0;
}

/* Type, rank and dimensions as Java's TensorInfo reads them. */
static void put_tensor(const spr_tensor_info *info, jlong room[TENSOR_ROOM]) {
    room[0] = info->dtype;
    room[1] = info->rank;
    for (int i = 0; i < SPR_MAX_RANK; i++) room[2 + i] = i < info->rank ? info->dim[i] : 0;
}

static jbyteArray give_tensor(JNIEnv *env, const spr_tensor_info *info, jlongArray to) {
    jlong room[TENSOR_ROOM];
    put_tensor(info, room);
    (*env)->SetLongArrayRegion(env, to, 0, TENSOR_ROOM, room);
    return (*env)->ExceptionCheck(env) ? NULL : new_text(env, info->name, strlen(info->name));
}

static jbyteArray no_tensor(JNIEnv *env, jboolean output) {
    throw_error(env, SPR_ERROR_ARGUMENT,
                output ? "there is no output of this index" : "there is no input of this index");
    return NULL;
}

static jbyteArray native_model_tensor(JNIEnv *env, jclass cls, jlong handle, jboolean output, jint index,
                                      jlongArray to) {
    (void)cls;
    spr_tensor_info info;
    const spr_model *model = from_handle(env, handle);
    if (!model) return NULL;
    spr_status status = output ? spr_model_output(model, index, &info) : spr_model_input(model, index, &info);
    return status ? no_tensor(env, output) : give_tensor(env, &info, to);
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

static jlong native_create_session(JNIEnv *env, jclass cls, jlong handle, jint threads, jlong cpu_mask, jint sparse,
                                   jbyteArray isa, jboolean profile, jboolean autotune) {
    (void)cls;
    spr_error err;
    spr_session *session = NULL;
    spr_session_options options;
    const spr_model *model = from_handle(env, handle);
    char *isa_text = model && isa ? get_text(env, isa) : NULL;
    if (!model || (isa && !isa_text)) return 0;
    spr_session_options_init(&options);
    options.threads = threads;
    options.cpu_mask = (uint64_t)cpu_mask;
    options.sparse = (spr_sparse)sparse;
    options.isa = isa_text;
    options.profile = profile;
    options.autotune = autotune;
    spr_status status = spr_session_create(model, &options, &session, &err);
    free(isa_text);
    return check(env, status, &err) ? to_handle(session) : 0;
}

static void native_free_session(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    spr_session *session = from_handle(env, handle);
    if (session) spr_session_free(session);
}

static void native_set_input_shape(JNIEnv *env, jclass cls, jlong handle, jint index, jlongArray shape) {
    (void)cls;
    spr_error err;
    jlong dims[SPR_MAX_RANK];
    int64_t dim[SPR_MAX_RANK];
    spr_session *session = from_handle(env, handle);
    if (!session) return;
    jsize rank = shape ? (*env)->GetArrayLength(env, shape) : SPR_MAX_RANK + 1;
    if (rank > SPR_MAX_RANK) {
        throw_error(env, SPR_ERROR_SHAPE, shape ? "the shape has more than 8 dimensions" : "the shape is null");
        return;
    }
    (*env)->GetLongArrayRegion(env, shape, 0, rank, dims);
    for (jsize i = 0; i < rank; i++) dim[i] = dims[i];
    check(env, spr_session_set_input_shape(session, index, rank, dim, &err), &err);
}

static void native_prepare(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    spr_error err;
    spr_session *session = from_handle(env, handle);
    if (session) check(env, spr_session_prepare(session, &err), &err);
}

static jbyteArray native_session_tensor(JNIEnv *env, jclass cls, jlong handle, jboolean output, jint index,
                                        jlongArray to) {
    (void)cls;
    spr_tensor_info info;
    const spr_session *session = from_handle(env, handle);
    if (!session) return NULL;
    if (output) /* null before it is planned: then the model knows name and type */
        return spr_session_output(session, index, &info) ? NULL : give_tensor(env, &info, to);
    return spr_session_input(session, index, &info) ? no_tensor(env, output) : give_tensor(env, &info, to);
}

typedef spr_status give_fn(spr_session *session, int index, const void *data, size_t size, spr_error *err);

static void give_direct(JNIEnv *env, give_fn *give, jlong handle, jint index, jobject buffer, jlong offset,
                        jlong size) {
    spr_error err;
    spr_session *session = from_handle(env, handle);
    const void *data = session ? direct_address(env, buffer, offset) : NULL;
    if (data) check(env, give(session, index, data, (size_t)size, &err), &err);
}

static void native_set_input_direct(JNIEnv *env, jclass cls, jlong handle, jint index, jobject buffer, jlong offset,
                                    jlong size) {
    (void)cls;
    give_direct(env, spr_session_set_input, handle, index, buffer, offset, size);
}

/* No reference is kept here: Java holds the buffer, and lends it anew before every run. */
static void native_lend_input(JNIEnv *env, jclass cls, jlong handle, jint index, jobject buffer, jlong offset,
                              jlong size) {
    (void)cls;
    give_direct(env, spr_session_lend_input, handle, index, buffer, offset, size);
}

/* While an array is pinned the garbage collector may have to wait: all that takes long is done before. */
static void native_set_input_array(JNIEnv *env, jclass cls, jlong handle, jint index, jobject array, jlong offset,
                                   jlong size) {
    (void)cls;
    spr_error err;
    spr_session *session = from_handle(env, handle);
    if (!session || !check(env, spr_session_prepare(session, &err), &err)) return;
    char *data = (*env)->GetPrimitiveArrayCritical(env, (jarray)array, NULL);
    if (!data) return; /* an OutOfMemoryError is pending */
    spr_status status = spr_session_set_input(session, index, data + offset, (size_t)size, &err);
    (*env)->ReleasePrimitiveArrayCritical(env, (jarray)array, data, JNI_ABORT);
    check(env, status, &err);
}

static void native_run(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    spr_error err;
    spr_session *session = from_handle(env, handle);
    if (session) check(env, spr_session_run(session, &err), &err);
}

static void native_get_output_direct(JNIEnv *env, jclass cls, jlong handle, jint index, jobject buffer, jlong offset,
                                     jlong size) {
    (void)cls;
    spr_error err;
    const spr_session *session = from_handle(env, handle);
    void *data = session ? direct_address(env, buffer, offset) : NULL;
    if (data) check(env, spr_session_get_output(session, index, data, (size_t)size, &err), &err);
}

static void native_get_output_array(JNIEnv *env, jclass cls, jlong handle, jint index, jobject array, jlong offset,
                                    jlong size) {
    (void)cls;
    spr_error err;
    const spr_session *session = from_handle(env, handle);
    if (!session) return;
    char *data = (*env)->GetPrimitiveArrayCritical(env, (jarray)array, NULL);
    if (!data) return;
    spr_status status = spr_session_get_output(session, index, data + offset, (size_t)size, &err);
    (*env)->ReleasePrimitiveArrayCritical(env, (jarray)array, data, 0);
    check(env, status, &err);
}

/* ---- what was done, and why ------------------------------------------------------------------------------------- */

static jbyteArray native_explain(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    const spr_session *session = from_handle(env, handle);
    if (!session) return NULL;
    size_t length = spr_session_explain(session, NULL, 0);
    char *text = malloc(length + 1);
    if (!text) {
        throw_error(env, SPR_ERROR_MEMORY, "out of memory: cannot allocate the explanation");
        return NULL;
    }
    spr_session_explain(session, text, length + 1);
    jbyteArray bytes = new_text(env, text, length);
    free(text);
    return bytes;
}

static jbyteArray native_tune_note(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    const spr_session *session = from_handle(env, handle);
    return session ? new_text(env, spr_session_tune_note(session), strlen(spr_session_tune_note(session))) : NULL;
}

static jint native_layer_count(JNIEnv *env, jclass cls, jlong handle) {
    (void)cls;
    const spr_session *session = from_handle(env, handle);
    return session ? spr_session_layer_count(session) : 0;
}

static void native_layer(JNIEnv *env, jclass cls, jlong handle, jint index, jobjectArray texts, jlongArray longs,
                         jdoubleArray doubles) {
    (void)cls;
    spr_layer_info info = {.struct_size = sizeof info};
    const spr_session *session = from_handle(env, handle);
    if (!session) return;
    if (spr_session_layer(session, index, &info)) {
        throw_error(env, SPR_ERROR_ARGUMENT, "there is no layer of this index");
        return;
    }
    const char *names[LAYER_TEXTS] = {info.name, info.op, info.kernel, info.reason, info.output.name};
    for (int i = 0; i < LAYER_TEXTS; i++) {
        jbyteArray text = new_text(env, names[i], strlen(names[i]));
        if (!text) return;
        (*env)->SetObjectArrayElement(env, texts, i, text);
        if ((*env)->ExceptionCheck(env)) return;
        (*env)->DeleteLocalRef(env, text);
    }
    jlong numbers[LAYER_LONGS];
    put_tensor(&info.output, numbers);
    numbers[TENSOR_ROOM] = (jlong)info.weight_bytes;
    numbers[TENSOR_ROOM + 1] = (jlong)info.packed_bytes;
    numbers[TENSOR_ROOM + 2] = (jlong)info.ns;
    const jdouble shares[] = {info.macs, info.sparsity, info.fill_2x1};
    (*env)->SetLongArrayRegion(env, longs, 0, LAYER_LONGS, numbers);
    if ((*env)->ExceptionCheck(env)) return;
    (*env)->SetDoubleArrayRegion(env, doubles, 0, (jsize)SPR_COUNTOF(shares), shares);
}

static void native_memory(JNIEnv *env, jclass cls, jlong handle, jlongArray to) {
    (void)cls;
    spr_memory_info info = {.struct_size = sizeof info};
    const spr_session *session = from_handle(env, handle);
    if (!session) return;
    if (spr_session_memory(session, &info)) {
        throw_error(env, SPR_ERROR_ARGUMENT, "the session is not prepared");
        return;
    }
    const jlong bytes[MEMORY_ROOM] = {(jlong)info.activations, (jlong)info.weights, (jlong)info.scratch};
    (*env)->SetLongArrayRegion(env, to, 0, MEMORY_ROOM, bytes);
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

#define METHOD(name, signature, function) {(char *)(name), (char *)(signature), (void *)(function)}

static const JNINativeMethod methods[] = {
    METHOD("version", "()[B", native_version),
    METHOD("cpuFeatures", "()[B", native_cpu_features),
    METHOD("openFile", "([B)J", native_open_file),
    METHOD("openBuffer", "(Ljava/nio/Buffer;J)J", native_open_buffer),
    METHOD("openFd", "(IJJ)J", native_open_fd),
    METHOD("closeModel", "(J)V", native_close_model),
    METHOD("inputCount", "(J)I", native_input_count),
    METHOD("outputCount", "(J)I", native_output_count),
    METHOD("modelTensor", "(JZI[J)[B", native_model_tensor),
    METHOD("createSession", "(JIJI[BZZ)J", native_create_session),
    METHOD("freeSession", "(J)V", native_free_session),
    METHOD("setInputShape", "(JI[J)V", native_set_input_shape),
    METHOD("prepare", "(J)V", native_prepare),
    METHOD("sessionTensor", "(JZI[J)[B", native_session_tensor),
    METHOD("setInputDirect", "(JILjava/nio/Buffer;JJ)V", native_set_input_direct),
    METHOD("lendInput", "(JILjava/nio/Buffer;JJ)V", native_lend_input),
    METHOD("setInputArray", "(JILjava/lang/Object;JJ)V", native_set_input_array),
    METHOD("run", "(J)V", native_run),
    METHOD("getOutputDirect", "(JILjava/nio/Buffer;JJ)V", native_get_output_direct),
    METHOD("getOutputArray", "(JILjava/lang/Object;JJ)V", native_get_output_array),
    METHOD("explain", "(J)[B", native_explain),
    METHOD("tuneNote", "(J)[B", native_tune_note),
    METHOD("layerCount", "(J)I", native_layer_count),
    METHOD("layer", "(JI[[B[J[D)V", native_layer),
    METHOD("memory", "(J[J)V", native_memory),
};

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
    JNIEnv *env;
    (void)reserved;
    if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
    jclass native = (*env)->FindClass(env, "dev/sparseruntime/Native");
    if (!native) return JNI_ERR; /* with the exception that says why */
    if ((*env)->RegisterNatives(env, native, methods, (jint)SPR_COUNTOF(methods)) != JNI_OK) return JNI_ERR;
    jclass exception = (*env)->FindClass(env, "dev/sparseruntime/SparseRuntimeException");
    if (!exception) return JNI_ERR;
    exception_init = (*env)->GetMethodID(env, exception, "<init>", "(I[B)V");
    if (!exception_init) return JNI_ERR;
    exception_class = (*env)->NewGlobalRef(env, exception);
    (*env)->DeleteLocalRef(env, native);
    (*env)->DeleteLocalRef(env, exception);
    return exception_class ? JNI_VERSION_1_6 : JNI_ERR;
}
