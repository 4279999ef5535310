package dev.sparseruntime;

import java.io.File;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * An open model (.spr), made by the converter. It does not change, and any threads may share it: one session each.
 *
 * <p>Its memory is native: close it. Sessions made of it stay usable; it goes with the last of them.
 */
public final class Model implements AutoCloseable {
    private final long handle;
    @SuppressWarnings("unused")
    private final Buffer borrowed; // keeps the memory that C reads reachable
    private int users = 1; // 0: freed
    private boolean closed;

    private Model(long handle, Buffer borrowed) {
        this.handle = handle;
        this.borrowed = borrowed;
    }

    /** Maps a file, which must not change while the model is open. */
    public static Model fromFile(File file) {
        return fromFile(file.getPath());
    }

    public static Model fromFile(String path) {
        return new Model(Native.openFile(utf8("path", path)), null);
    }

    /**
     * A model in memory: the bytes from position to limit. A direct buffer (a MappedByteBuffer, say) whose bytes begin
     * at an address that is a multiple of 4 is used where it lies and must not be changed; others are copied.
     */
    public static Model fromBuffer(ByteBuffer buffer) {
        ByteBuffer data = buffer.slice();
        if (!data.isDirect()) {
            data = copy(data);
        }
        long handle = Native.openBuffer(data, data.remaining());
        if (handle == 0) { // it is not at a multiple of 4
            data = copy(data);
            handle = Native.openBuffer(data, data.remaining());
        }
        return new Model(handle, data);
    }

    /**
     * Maps part of a file that is open as a descriptor of the process: length bytes from offset, at any offset. An
     * uncompressed asset is such a part of the APK. The descriptor may be closed afterwards.
     */
    public static Model fromFd(int fd, long offset, long length) {
        return new Model(Native.openFd(fd, offset, length), null);
    }

    private static ByteBuffer copy(ByteBuffer from) {
        ByteBuffer to = ByteBuffer.allocateDirect(from.remaining()).order(ByteOrder.nativeOrder());
        to.put(from.duplicate());
        ((Buffer) to).flip(); // ByteBuffer has a flip of its own in newer libraries: Android 7 to 8 would not find it
        return to;
    }

    /** Inputs; free dimensions are -1. */
    public List<TensorInfo> inputs() {
        return tensors(false);
    }

    /** Outputs; their shapes follow from the inputs' and are known to sessions only. */
    public List<TensorInfo> outputs() {
        return tensors(true);
    }

    private List<TensorInfo> tensors(boolean output) {
        long model = acquire();
        try {
            List<TensorInfo> tensors = new ArrayList<>();
            int count = output ? Native.outputCount(model) : Native.inputCount(model);
            for (int i = 0; i < count; i++) {
                long[] info = new long[TensorInfo.ROOM];
                tensors.add(new TensorInfo(Native.modelTensor(model, output, i, info), info));
            }
            return Collections.unmodifiableList(tensors);
        } finally {
            release();
        }
    }

    /** Frees the model when its last session is closed. A second call does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            release();
        }
    }

    /** The handle, valid until release is called as often. */
    synchronized long acquire() {
        if (closed) {
            throw new SparseRuntimeException(Status.ARGUMENT, "the model is closed");
        }
        users++;
        return handle;
    }

    synchronized void release() {
        if (--users == 0) {
            Native.closeModel(handle);
        }
    }

    static byte[] utf8(String what, String text) {
        if (text == null || text.indexOf('\0') >= 0) {
            throw new SparseRuntimeException(Status.ARGUMENT,
                    what + (text == null ? " is null" : " contains the character 0"));
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
