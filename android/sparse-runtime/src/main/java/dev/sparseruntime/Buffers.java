package dev.sparseruntime;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;

/** Hands buffers to C where they lie: direct ones by address, others by their array. */
final class Buffers {
    private Buffers() {}

    /** The bytes of a direct buffer that an input is read from. Holding the buffer keeps them. */
    static final class Loan {
        private final Buffer buffer;
        private final long offset;
        private final long bytes;

        private Loan(Buffer buffer, int size) {
            this.buffer = buffer;
            offset = (long) buffer.position() * size;
            bytes = (long) buffer.remaining() * size;
        }

        /** Lends them to the next run. */
        void renew(long session, int index) {
            Native.lendInput(session, index, buffer, offset, bytes);
        }
    }

    /** Lends a direct buffer to the next run; whoever gets the loan has to hold it until that has ended. */
    static Loan lendInput(long session, int index, TensorInfo info, Buffer buffer) {
        int size = check("input", info, buffer);
        if (!buffer.isDirect()) {
            throw error("input", info, "is to be lent a buffer that is not direct: setInput copies it");
        }
        Loan loan = new Loan(buffer, size);
        loan.renew(session, index);
        return loan;
    }

    static void setInput(long session, int index, TensorInfo info, Buffer buffer) {
        int size = check("input", info, buffer);
        long bytes = (long) buffer.remaining() * size;
        if (buffer.isDirect()) {
            Native.setInputDirect(session, index, buffer, (long) buffer.position() * size, bytes);
        } else {
            Native.setInputArray(session, index, buffer.array(), arrayOffset(buffer, size), bytes);
        }
    }

    static void getOutput(long session, int index, TensorInfo info, Buffer buffer) {
        int size = check("output", info, buffer);
        long bytes = (long) buffer.remaining() * size;
        if (buffer.isReadOnly()) {
            throw error("output", info, "is to be written to a read-only buffer");
        }
        if (buffer.isDirect()) {
            Native.getOutputDirect(session, index, buffer, (long) buffer.position() * size, bytes);
        } else {
            Native.getOutputArray(session, index, buffer.array(), arrayOffset(buffer, size), bytes);
        }
    }

    private static long arrayOffset(Buffer buffer, int size) {
        return ((long) buffer.arrayOffset() + buffer.position()) * size;
    }

    /** Bytes per element of a buffer that can be used for this tensor. */
    private static int check(String what, TensorInfo info, Buffer buffer) {
        if (buffer == null) {
            throw error(what, info, "is given null instead of a buffer");
        }
        int size;
        boolean fits;
        ByteOrder order;
        DataType type = info.type();
        if (buffer instanceof ByteBuffer) {
            size = 1;
            fits = true;
            order = ((ByteBuffer) buffer).order();
        } else if (buffer instanceof FloatBuffer) {
            size = 4;
            fits = type == DataType.FLOAT32;
            order = ((FloatBuffer) buffer).order();
        } else if (buffer instanceof IntBuffer) {
            size = 4;
            fits = type == DataType.INT32 || type == DataType.UINT32;
            order = ((IntBuffer) buffer).order();
        } else if (buffer instanceof LongBuffer) {
            size = 8;
            fits = type == DataType.INT64 || type == DataType.UINT64;
            order = ((LongBuffer) buffer).order();
        } else if (buffer instanceof ShortBuffer) {
            size = 2;
            fits = type == DataType.INT16 || type == DataType.UINT16 || type == DataType.FLOAT16;
            order = ((ShortBuffer) buffer).order();
        } else if (buffer instanceof DoubleBuffer) {
            size = 8;
            fits = type == DataType.FLOAT64;
            order = ((DoubleBuffer) buffer).order();
        } else {
            throw error(what, info, "cannot use a " + buffer.getClass().getSimpleName());
        }
        if (!fits) {
            throw error(what, info, "has elements of type " + type + ", the buffer others; a ByteBuffer takes any");
        }
        // Buffers made from a ByteBuffer are big-endian unless it was told otherwise: numbers would be read backwards.
        if (type.size() > 1 && order != ByteOrder.nativeOrder()) {
            throw error(what, info, "needs a buffer in native byte order: call order(ByteOrder.nativeOrder()) on the "
                    + "ByteBuffer before anything is put into it or a view is made of it");
        }
        if (!buffer.isDirect() && !buffer.hasArray() && !buffer.isReadOnly()) {
            throw error(what, info,
                    "needs a direct buffer or one with an array of its own type, not a view of a heap ByteBuffer");
        }
        if (!buffer.isDirect() && !buffer.hasArray() && what.equals("input")) {
            throw error(what, info,
                    "needs a direct buffer or one with an accessible array, not a read-only heap buffer");
        }
        return size;
    }

    private static SparseRuntimeException error(String what, TensorInfo info, String problem) {
        return new SparseRuntimeException(Status.ARGUMENT, what + " '" + info.name() + "' " + problem);
    }
}
