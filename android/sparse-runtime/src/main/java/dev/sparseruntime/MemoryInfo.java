package dev.sparseruntime;

/** Bytes that a session holds besides the model. */
public final class MemoryInfo {
    /** Room that C fills. */
    static final int ROOM = 3;

    private final long[] bytes;

    MemoryInfo(long[] bytes) {
        this.bytes = bytes;
    }

    /** Of inputs, outputs and what lies between them. */
    public long activations() {
        return bytes[0];
    }

    /** Of packed weights and other constants. */
    public long weights() {
        return bytes[1];
    }

    /** Of all threads' scratch space. */
    public long scratch() {
        return bytes[2];
    }
}
