package dev.sparseruntime;

/** Element types of tensors. */
public enum DataType {
    FLOAT32(1, 4),
    UINT8(2, 1),
    INT8(3, 1),
    UINT16(4, 2),
    INT16(5, 2),
    INT32(6, 4),
    INT64(7, 8),
    /** One byte each, 0 or 1. */
    BOOL(9, 1),
    /** IEEE half precision; android.util.Half converts. */
    FLOAT16(10, 2),
    FLOAT64(11, 8),
    UINT32(12, 4),
    UINT64(13, 8),
    /** Of layers inside a network that computes in 8 bit integers: never of an input or output. */
    QUANTIZED(31, 1);

    private final int code; // spr_dtype
    private final int size;

    DataType(int code, int size) {
        this.code = code;
        this.size = size;
    }

    /** Bytes per element. */
    public int size() {
        return size;
    }

    static DataType of(long code) {
        for (DataType type : values()) {
            if (type.code == code) {
                return type;
            }
        }
        throw new SparseRuntimeException(Status.UNSUPPORTED, "element type " + code + " is unknown to the Java API");
    }
}
