package dev.sparseruntime;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Name, element type and shape of an input, an output or a layer's result. */
public final class TensorInfo {
    /** Room that C fills: type, rank, up to eight dimensions. */
    static final int ROOM = 10;

    private final String name;
    private final DataType type;
    private final long[] shape; // null: not known

    TensorInfo(byte[] name, long[] info) {
        this.name = new String(name, StandardCharsets.UTF_8);
        this.type = DataType.of(info[0]);
        this.shape = info[1] < 0 ? null : Arrays.copyOfRange(info, 2, 2 + (int) info[1]);
    }

    public String name() {
        return name;
    }

    public DataType type() {
        return type;
    }

    /** Whether the shape is known; that of an output may depend on the inputs' shapes or on what is computed. */
    public boolean hasShape() {
        return shape != null;
    }

    /** The dimensions, -1 for one that the session has to be given; null while nothing is known of the shape. */
    public long[] shape() {
        return shape == null ? null : shape.clone();
    }

    /** Number of elements; -1 while the shape or one of its dimensions is not known. */
    public long count() {
        if (shape == null) {
            return -1;
        }
        long count = 1;
        for (long dim : shape) {
            if (dim < 0) {
                return -1;
            }
            count *= dim;
        }
        return count;
    }

    /** Bytes of the whole tensor; -1 while its shape is not known. */
    public long bytes() {
        long count = count();
        return count < 0 ? -1 : count * type.size();
    }

    @Override
    public String toString() {
        return name + ": " + type + " " + (shape == null ? "[?]" : Arrays.toString(shape));
    }
}
