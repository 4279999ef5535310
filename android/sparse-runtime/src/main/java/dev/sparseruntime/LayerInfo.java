package dev.sparseruntime;

import java.nio.charset.StandardCharsets;

/** One step of a session: what runs it, and why. */
public final class LayerInfo {
    /** Rooms that C fills. */
    static final int TEXTS = 5;
    static final int LONGS = TensorInfo.ROOM + 3;
    static final int DOUBLES = 3;

    private final String name;
    private final String op;
    private final String kernel;
    private final String reason;
    private final TensorInfo output;
    private final long weightBytes;
    private final long packedBytes;
    private final long nanos;
    private final double macs;
    private final double sparsity;
    private final double fill2x1;

    LayerInfo(byte[][] texts, long[] longs, double[] doubles) {
        name = text(texts[0]);
        op = text(texts[1]);
        kernel = text(texts[2]);
        reason = text(texts[3]);
        output = new TensorInfo(texts[4], longs);
        weightBytes = longs[TensorInfo.ROOM];
        packedBytes = longs[TensorInfo.ROOM + 1];
        nanos = longs[TensorInfo.ROOM + 2];
        macs = doubles[0];
        sparsity = doubles[1];
        fill2x1 = doubles[2];
    }

    private static String text(byte[] utf8) {
        return new String(utf8, StandardCharsets.UTF_8);
    }

    /** Name of the node in the model. */
    public String name() {
        return name;
    }

    public String op() {
        return op;
    }

    /** The kernel chosen; empty where the operator has only one way. */
    public String kernel() {
        return kernel;
    }

    /** Why that kernel; empty where there was no choice. */
    public String reason() {
        return reason;
    }

    /** The first output. */
    public TensorInfo output() {
        return output;
    }

    /** Multiply-accumulates that a dense kernel would do. */
    public double macs() {
        return macs;
    }

    /** Share of zeros in the weights; -1 where the layer has none. */
    public double sparsity() {
        return sparsity;
    }

    /** Share of nonzeros in the nonempty 2x1 blocks, 1 where they have no zeros; -1 where the layer has no weights. */
    public double fill2x1() {
        return fill2x1;
    }

    /** Bytes of the weights in the file. */
    public long weightBytes() {
        return weightBytes;
    }

    /** Bytes of the weights in memory. */
    public long packedBytes() {
        return packedBytes;
    }

    /** Time of the last run in nanoseconds; 0 unless the session was made with {@link Options#profile}. */
    public long nanos() {
        return nanos;
    }

    @Override
    public String toString() {
        return op + " " + name + (kernel.isEmpty() ? "" : " by " + kernel) + (reason.isEmpty() ? "" : ": " + reason);
    }
}
