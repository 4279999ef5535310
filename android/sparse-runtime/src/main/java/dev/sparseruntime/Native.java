package dev.sparseruntime;

import java.nio.Buffer;

/**
 * The C side (csrc/jni), registered by JNI_OnLoad. Handles are addresses and are never 0 where one is valid: Model and
 * Session see to it that none is used after it was closed. Texts are UTF-8. All throw {@link SparseRuntimeException}.
 */
final class Native {
    static {
        System.loadLibrary("sparse_runtime");
    }

    private Native() {}

    static native byte[] version();

    static native byte[] cpuFeatures();

    static native long openFile(byte[] path);

    /**
     * The first `size` bytes of a direct buffer, which must stay until the model is closed; 0 if they are not at a
     * multiple of 4.
     */
    static native long openBuffer(Buffer direct, long size);

    static native long openFd(int fd, long offset, long length);

    static native void closeModel(long model);

    static native int inputCount(long model);

    static native int outputCount(long model);

    /** Returns the name; fills {@link TensorInfo#ROOM} numbers. */
    static native byte[] modelTensor(long model, boolean output, int index, long[] info);

    static native long createSession(long model, int threads, long cpuMask, int sparse, byte[] isa, boolean profile,
            boolean autotune);

    static native void freeSession(long session);

    static native void setInputShape(long session, int index, long[] shape);

    static native void prepare(long session);

    /** As modelTensor, with present shapes; null for an output before the session is prepared. */
    static native byte[] sessionTensor(long session, boolean output, int index, long[] info);

    static native void setInputDirect(long session, int index, Buffer direct, long offset, long size);

    /**
     * For one run, which may read the buffer where it lies: it must be held until then, and lent again before the next.
     */
    static native void lendInput(long session, int index, Buffer direct, long offset, long size);

    /** From a primitive array; offset and size in bytes. */
    static native void setInputArray(long session, int index, Object array, long offset, long size);

    static native void run(long session);

    static native void getOutputDirect(long session, int index, Buffer direct, long offset, long size);

    static native void getOutputArray(long session, int index, Object array, long offset, long size);

    static native byte[] explain(long session);

    static native byte[] tuneNote(long session);

    static native int layerCount(long session);

    /** Fills the rooms that {@link LayerInfo} tells. */
    static native void layer(long session, int index, byte[][] texts, long[] longs, double[] doubles);

    /** Fills {@link MemoryInfo#ROOM} numbers. */
    static native void memory(long session, long[] info);
}
