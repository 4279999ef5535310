package dev.sparseruntime;

/** What kind of thing went wrong: spr_status of the C library, in its order. */
public enum Status {
    OK,
    /** An argument is out of range, of the wrong size or type, or a call comes too early or too late. */
    ARGUMENT,
    /** There is not enough memory, or a thread could not be started. */
    MEMORY,
    /** A file cannot be opened or mapped. */
    IO,
    /** Not a model, truncated, damaged, or of an unknown version. */
    FORMAT,
    /** An operator, type or option that this build does not have. */
    UNSUPPORTED,
    /** Shapes that do not fit together. */
    SHAPE;

    private static final Status[] ALL = values();

    static Status of(int code) {
        return code >= 0 && code < ALL.length ? ALL[code] : ARGUMENT;
    }
}
