package dev.sparseruntime;

import java.nio.charset.StandardCharsets;

/** Thrown by everything in this package; the message names the node, tensor and value at fault. */
public final class SparseRuntimeException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final Status status;

    SparseRuntimeException(Status status, String message) {
        super(message);
        this.status = status;
    }

    SparseRuntimeException(Status status, String message, Throwable cause) {
        super(message, cause);
        this.status = status;
    }

    /** Called from C. */
    SparseRuntimeException(int status, byte[] utf8) {
        this(Status.of(status), new String(utf8, StandardCharsets.UTF_8));
    }

    public Status status() {
        return status;
    }
}
