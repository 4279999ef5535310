package dev.sparseruntime;

import java.io.File;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A model made ready to run.
 *
 * <pre>
 * try (Session session = Session.fromFile("model.spr", new Options().threads(2))) {
 *     FloatBuffer pixels = session.newInput(0).asFloatBuffer();
 *     ...                                     // put the picture, [batch, channel, row, column]
 *     session.setInput(0, pixels);
 *     session.run();
 *     float[] scores = session.floats(0);
 * }
 * </pre>
 *
 * <p>What counts of a buffer is what lies between position and limit, which stay as they are. {@link #setInput} and
 * {@link #getOutput} copy a tensor once, between the buffer and the core's memory. {@link #lendInput} and {@link
 * #run(Buffer[], Buffer[])} let the core read direct buffers where they lie.
 *
 * <p>A session belongs to one thread at a time: a call while another thread is in one throws. Make one session per
 * thread; they share the model. Memory is native, and only close frees it.
 */
public final class Session implements AutoCloseable {
    private final Model model;
    private final long modelHandle;
    private final int inputCount;
    private final int outputCount;
    private final boolean profiling;
    private final Buffers.Loan[] loans; // by input: what each run reads, null where the core has a copy
    private final AtomicReference<Thread> user = new AtomicReference<>();
    private long handle; // 0: closed; only for who is the user

    /** A session of a model that may have others. Takes as long as planning: milliseconds. */
    public Session(Model model, Options options) {
        this.model = model;
        modelHandle = model.acquire();
        try {
            handle = Native.createSession(modelHandle, options.threads, options.cpuMask, options.sparse.ordinal(),
                    options.isa == null ? null : Model.utf8("isa", options.isa), options.profile, options.autotune);
            inputCount = Native.inputCount(modelHandle);
            outputCount = Native.outputCount(modelHandle);
            profiling = options.profile;
            loans = new Buffers.Loan[inputCount];
        } finally {
            if (handle == 0) {
                model.release();
            }
        }
    }

    public Session(Model model) {
        this(model, new Options());
    }

    /** See {@link Model#fromFile}. */
    public static Session fromFile(String path, Options options) {
        return of(Model.fromFile(path), options);
    }

    public static Session fromFile(File file, Options options) {
        return of(Model.fromFile(file), options);
    }

    public static Session fromFile(String path) {
        return fromFile(path, new Options());
    }

    /** See {@link Model#fromBuffer}. */
    public static Session fromBuffer(ByteBuffer buffer, Options options) {
        return of(Model.fromBuffer(buffer), options);
    }

    public static Session fromBuffer(ByteBuffer buffer) {
        return fromBuffer(buffer, new Options());
    }

    /**
     * {@code Session.fromAsset(AndroidSupport.assets(context.getAssets()), "model.spr", options)}; mapped, not copied.
     */
    public static Session fromAsset(AssetSource assets, String name, Options options) {
        return of(assets.open(name), options);
    }

    public static Session fromAsset(AssetSource assets, String name) {
        return fromAsset(assets, name, new Options());
    }

    private static Session of(Model model, Options options) {
        try {
            return new Session(model, options);
        } finally {
            model.close(); // the session keeps it
        }
    }

    /** Version of the C library. */
    public static String version() {
        return new String(Native.version(), StandardCharsets.UTF_8);
    }

    /** Features of this CPU that kernels may use, comma separated. */
    public static String cpuFeatures() {
        return new String(Native.cpuFeatures(), StandardCharsets.UTF_8);
    }

    // ---- tensors

    public int inputCount() {
        return inputCount;
    }

    public int outputCount() {
        return outputCount;
    }

    /** An input with its present shape; dimensions that are still free are -1. */
    public TensorInfo input(int index) {
        enter();
        try {
            return inputInfo(index);
        } finally {
            leave();
        }
    }

    /**
     * An output. Without a shape before all inputs have theirs, or, where it depends on what is computed, before a run.
     */
    public TensorInfo output(int index) {
        enter();
        try {
            return outputInfo(index);
        } finally {
            leave();
        }
    }

    /** Index of an input by its name. */
    public int inputIndex(String name) {
        enter();
        try {
            return find("input", name, inputCount);
        } finally {
            leave();
        }
    }

    /** Index of an output by its name. */
    public int outputIndex(String name) {
        enter();
        try {
            return find("output", name, outputCount);
        } finally {
            leave();
        }
    }

    /**
     * Gives an input another batch or spatial size; what was set or lent before is lost, of all inputs. The present
     * shape again changes nothing.
     */
    public void setInputShape(int index, long... shape) {
        enter();
        try {
            long[] before = index >= 0 && index < inputCount ? inputInfo(index).shape() : null;
            Native.setInputShape(handle, index, shape);
            if (!Arrays.equals(before, shape)) {
                Arrays.fill(loans, null);
            }
        } finally {
            leave();
        }
    }

    /** Plans for the present shapes now, not at the next run. */
    public void prepare() {
        enter();
        try {
            Native.prepare(handle);
        } finally {
            leave();
        }
    }

    /**
     * A direct buffer in native byte order with the size of an input, for {@link #run(Buffer, Buffer)}, {@link
     * #lendInput} and {@link #setInput}; make it once and use it again.
     */
    public ByteBuffer newInput(int index) {
        return newBuffer("input", input(index));
    }

    /** Likewise for an output, for {@link #getOutput}. Plans if that is not done yet. */
    public ByteBuffer newOutput(int index) {
        prepare();
        return newBuffer("output", output(index));
    }

    private static ByteBuffer newBuffer(String what, TensorInfo info) {
        long bytes = info.bytes();
        if (bytes < 0 || bytes > Integer.MAX_VALUE) {
            throw new SparseRuntimeException(Status.SHAPE, what + " '" + info.name() + "' has "
                    + (bytes < 0 ? "no known size yet" : bytes + " bytes, too many for a buffer"));
        }
        return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
    }

    // ---- running

    /**
     * Sets an input to a copy of a buffer's remaining elements, which must be as many as the tensor has: a ByteBuffer
     * for any type, or the buffer of the type. Stays until it is given anew or a shape changes.
     */
    public void setInput(int index, Buffer buffer) {
        enter();
        try {
            set(index, buffer);
        } finally {
            leave();
        }
    }

    /**
     * Makes every run from now on read an input from the remaining elements of a direct buffer, as they are then, until
     * the input is given anew, a shape changes or the session is closed. The core reads them where they lie if the
     * input goes to an ordinary convolution, as pictures do, or to 8 bits first, its planes are a multiple of 16
     * elements and it begins at a multiple of the element's size; where not it copies them at the start of each run.
     * The session holds the buffer; what lies there must not change while a run is going on, and memory that does not
     * end with its buffer (an Image's planes, which go with close) must last as long as the session may run with it.
     */
    public void lendInput(int index, Buffer buffer) {
        enter();
        try {
            lend(index, buffer);
        } finally {
            leave();
        }
    }

    public void setInput(int index, float[] values) {
        setInput(index, FloatBuffer.wrap(values));
    }

    /** Computes all outputs. */
    public void run() {
        enter();
        try {
            renewLoans();
            Native.run(handle);
        } finally {
            leave();
        }
    }

    /**
     * Gives all inputs, runs, and fills all outputs, as one step that no other thread's call can come between. Direct
     * buffers are lent, as {@link #lendInput} does, and stay so; others are copied.
     */
    public void run(Buffer[] inputs, Buffer[] outputs) {
        enter();
        try {
            checkCount("input", inputs.length, inputCount);
            checkCount("output", outputs.length, outputCount);
            for (int i = 0; i < inputCount; i++) {
                if (inputs[i] != null && inputs[i].isDirect()) {
                    lend(i, inputs[i]);
                } else {
                    set(i, inputs[i]);
                }
            }
            Native.run(handle);
            for (int i = 0; i < outputCount; i++) {
                Buffers.getOutput(handle, i, outputInfo(i), outputs[i]);
            }
        } finally {
            leave();
        }
    }

    /** For networks with one input and one output. */
    public void run(Buffer input, Buffer output) {
        run(new Buffer[] {input}, new Buffer[] {output});
    }

    /** Writes an output of the last run to a buffer's remaining elements, which must be as many as the tensor has. */
    public void getOutput(int index, Buffer buffer) {
        enter();
        try {
            Buffers.getOutput(handle, index, outputInfo(index), buffer);
        } finally {
            leave();
        }
    }

    /** An output of the last run as a new array; for FLOAT32. */
    public float[] floats(int index) {
        enter();
        try {
            TensorInfo info = outputInfo(index);
            if (info.count() > Integer.MAX_VALUE) {
                throw new SparseRuntimeException(Status.SHAPE,
                        "output '" + info.name() + "' has too many elements for an array");
            }
            float[] values = new float[(int) Math.max(0, info.count())];
            Buffers.getOutput(handle, index, info, FloatBuffer.wrap(values)); // says so where there is nothing yet
            return values;
        } finally {
            leave();
        }
    }

    /** Times runs with the inputs that were given (zeros where none were), after some that are not counted. */
    public Timing benchmark(int warmup, int runs) {
        if (warmup < 0 || runs < 1) {
            throw new SparseRuntimeException(Status.ARGUMENT,
                    "warmup is " + warmup + " and runs " + runs + ": at least 0 and 1 are needed");
        }
        enter();
        try {
            long[] nanos = new long[runs];
            for (int i = 0; i < warmup; i++) {
                renewLoans();
                Native.run(handle);
            }
            for (int i = 0; i < runs; i++) {
                renewLoans();
                long start = System.nanoTime();
                Native.run(handle);
                nanos[i] = System.nanoTime() - start;
            }
            return new Timing(nanos);
        } finally {
            leave();
        }
    }

    // ---- what was done, and why

    /**
     * A table for people: each layer's operator, shape, share of zeros, kernel and why, time where profiled; memory;
     * CPU.
     */
    public String explain() {
        enter();
        try {
            Native.prepare(handle);
            return new String(Native.explain(handle), StandardCharsets.UTF_8);
        } finally {
            leave();
        }
    }

    /** The same for programs. */
    public List<LayerInfo> layers() {
        enter();
        try {
            Native.prepare(handle);
            List<LayerInfo> layers = new ArrayList<>();
            int count = Native.layerCount(handle);
            for (int i = 0; i < count; i++) {
                byte[][] texts = new byte[LayerInfo.TEXTS][];
                long[] longs = new long[LayerInfo.LONGS];
                double[] doubles = new double[LayerInfo.DOUBLES];
                Native.layer(handle, i, texts, longs, doubles);
                layers.add(new LayerInfo(texts, longs, doubles));
            }
            return Collections.unmodifiableList(layers);
        } finally {
            leave();
        }
    }

    /** {@link #layers} with the times of the last run; for sessions made with {@link Options#profile}. */
    public List<LayerInfo> profile() {
        if (!profiling) {
            throw new SparseRuntimeException(Status.ARGUMENT, "the session was made without profile(true)");
        }
        return layers();
    }

    public MemoryInfo memory() {
        enter();
        try {
            Native.prepare(handle);
            long[] bytes = new long[MemoryInfo.ROOM];
            Native.memory(handle, bytes);
            return new MemoryInfo(bytes);
        } finally {
            leave();
        }
    }

    /** What came of autotune, in one line; empty without it. */
    public String tuneNote() {
        enter();
        try {
            return new String(Native.tuneNote(handle), StandardCharsets.UTF_8);
        } finally {
            leave();
        }
    }

    // ---- one thread at a time

    /**
     * Ends the session and frees its memory. A second call does nothing; one while another thread uses the session
     * throws.
     */
    @Override
    public void close() {
        take();
        try {
            if (handle != 0) {
                Native.freeSession(handle);
                handle = 0;
                Arrays.fill(loans, null);
                model.release();
            }
        } finally {
            leave();
        }
    }

    private void enter() {
        take();
        if (handle == 0) {
            leave();
            throw new SparseRuntimeException(Status.ARGUMENT, "the session is closed");
        }
    }

    private void take() {
        if (!user.compareAndSet(null, Thread.currentThread())) {
            Thread other = user.get();
            throw new SparseRuntimeException(Status.ARGUMENT, "the session is in use by "
                    + (other == null ? "another thread" : "thread '" + other.getName() + "'")
                    + ": a session is for one thread at a time, make one for each");
        }
    }

    private void leave() {
        user.set(null);
    }

    private void set(int index, Buffer buffer) {
        Buffers.setInput(handle, index, inputInfo(index), buffer);
        loans[index] = null; // only now: the core may have had it until here
    }

    private void lend(int index, Buffer buffer) {
        loans[index] = Buffers.lendInput(handle, index, inputInfo(index), buffer);
    }

    /** The core takes a loan for one run. */
    private void renewLoans() {
        for (int i = 0; i < loans.length; i++) {
            if (loans[i] != null) {
                loans[i].renew(handle, i);
            }
        }
    }

    private TensorInfo inputInfo(int index) {
        long[] info = new long[TensorInfo.ROOM];
        return new TensorInfo(Native.sessionTensor(handle, false, index, info), info);
    }

    private TensorInfo outputInfo(int index) {
        long[] info = new long[TensorInfo.ROOM];
        byte[] name = Native.sessionTensor(handle, true, index, info);
        if (name == null) { // nothing is planned yet
            name = Native.modelTensor(modelHandle, true, index, info);
        }
        return new TensorInfo(name, info);
    }

    private int find(String what, String name, int count) {
        StringBuilder names = new StringBuilder();
        for (int i = 0; i < count; i++) {
            String each = (what.equals("input") ? inputInfo(i) : outputInfo(i)).name();
            if (each.equals(name)) {
                return i;
            }
            names.append(i == 0 ? "'" : ", '").append(each).append('\'');
        }
        throw new SparseRuntimeException(Status.ARGUMENT,
                "there is no " + what + " '" + name + "'; the model has " + names);
    }

    private static void checkCount(String what, int given, int count) {
        if (given != count) {
            throw new SparseRuntimeException(Status.ARGUMENT,
                                             given + " " + what + " buffers given, the model has " + count
                    + " " + what + (count == 1 ? "" : "s"));
        }
    }
}
