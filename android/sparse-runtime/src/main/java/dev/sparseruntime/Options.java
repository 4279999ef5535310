package dev.sparseruntime;

/**
 * How a session computes. Every setter returns the same object:
 *
 * <pre>new Options().threads(2).sparse(Options.Sparse.NEVER)</pre>
 */
public final class Options {
    /** Whether layers stored sparse run on sparse kernels: spr_sparse of the C library, in its order. */
    public enum Sparse {
        /** As the model was converted: AUTO unless it says otherwise. */
        MODEL,
        /** Per layer whatever is estimated to be fastest on this CPU. */
        AUTO,
        /** Every layer stored sparse runs sparse. */
        ALWAYS,
        /** Dense kernels only. */
        NEVER
    }

    int threads = 1;
    long cpuMask;
    Sparse sparse = Sparse.MODEL;
    String isa;
    boolean profile;
    boolean autotune;

    /** How many threads compute, from 1 (the default) to 256; the one that calls run is one of them. */
    public Options threads(int threads) {
        this.threads = threads;
        return this;
    }

    /**
     * Bit i lets the session's own threads run on CPU i; 0, the default: anywhere. The calling thread is left alone.
     */
    public Options cpuMask(long mask) {
        this.cpuMask = mask;
        return this;
    }

    public Options sparse(Sparse sparse) {
        if (sparse == null) {
            throw new SparseRuntimeException(Status.ARGUMENT, "sparse is null");
        }
        this.sparse = sparse;
        return this;
    }

    /** Comma list of CPU features that kernels may use, such as "neon,dotprod" or "ref"; null, the default: all. */
    public Options isa(String isa) {
        this.isa = isa;
        return this;
    }

    /** Times every layer in each run; see {@link Session#profile}. */
    public Options profile(boolean profile) {
        this.profile = profile;
        return this;
    }

    /**
     * Chooses kernels by measuring them on this device, which takes up to some seconds. What is found is kept beside a
     * model opened by {@link Model#fromFile} in a writable folder, and used by the next session.
     */
    public Options autotune(boolean autotune) {
        this.autotune = autotune;
        return this;
    }
}
