package dev.sparseruntime;

import android.content.res.AssetManager;
import android.graphics.Bitmap;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;

/**
 * Tests of the Java API on the host's Java machine; android/tests/test_java.py makes the folder given as argument:
 *
 * <ul>
 *   <li>net.spr, net.x, net.y: a sparse network, FLOAT32 x [1, 3, 32, 32] to y [1, 10], and onnxruntime's y;
 *       batch3.x, batch3.y likewise
 *   <li>types.spr: bytes [2, 3] UINT8 and ids [2, 3] INT64 to sum [2, 3] INT64, and grid [2] INT32 to text "é𝄞" [2]
 *       FLOAT64
 *   <li>found.spr: x [4] FLOAT32 to where [1, n] INT64, the places of what is not zero
 *   <li>damaged.spr; app.apk with assets/stored.spr, assets/packed.spr, assets/damaged.spr
 * </ul>
 */
final class HostTest {
    private final File folder;
    private final String net;
    private final float[] x;
    private final float[] y;

    private HostTest(File folder) throws IOException {
        this.folder = folder;
        net = path("net.spr");
        x = floats("net.x");
        y = floats("net.y");
    }

    public static void main(String[] args) throws Exception {
        HostTest test = new HostTest(new File(args[0]));
        test.results();
        test.sources();
        test.assets();
        test.types();
        test.shapes();
        test.options();
        test.errors();
        test.badBuffers();
        test.closing();
        test.explaining();
        test.images();
        Lending.test(test.net);
        Threads.test(test.net, test.x, test.y);
        System.exit(Check.result());
    }

    private String path(String name) {
        return new File(folder, name).getPath();
    }

    private ByteBuffer bytes(String name) throws IOException {
        return ByteBuffer.wrap(Files.readAllBytes(new File(folder, name).toPath())).order(ByteOrder.LITTLE_ENDIAN);
    }

    private float[] floats(String name) throws IOException {
        FloatBuffer from = bytes(name).asFloatBuffer();
        float[] values = new float[from.remaining()];
        from.get(values);
        return values;
    }

    static ByteBuffer direct(int size) {
        return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    }

    /** Within 1e-4 of the range of what is expected. */
    static void close(float[] expected, float[] got, String what) {
        float low = Float.MAX_VALUE;
        float high = -Float.MAX_VALUE;
        float worst = expected.length == got.length ? 0 : Float.POSITIVE_INFINITY;
        for (int i = 0; i < Math.min(expected.length, got.length); i++) {
            low = Math.min(low, expected[i]);
            high = Math.max(high, expected[i]);
            worst = Math.max(worst, Float.isNaN(got[i]) ? Float.POSITIVE_INFINITY : Math.abs(expected[i] - got[i]));
        }
        Check.that(worst <= 1e-4f * (high - low), what + ": differs by " + worst + ", range " + (high - low));
    }

    private void runs(Session session, String what) {
        session.setInput(0, x);
        session.run();
        close(y, session.floats(0), what);
    }

    /** Every kind of buffer, at every place in it, gives the same. */
    private void results() {
        try (Session session = Session.fromFile(net)) {
            runs(session, "arrays");
            FloatBuffer in = session.newInput(0).asFloatBuffer();
            FloatBuffer out = session.newOutput(0).asFloatBuffer();
            in.put(x);
            in.rewind();
            session.run(in, out);
            Check.that(in.position() == 0 && in.remaining() == x.length && out.position() == 0, "positions stay");
            float[] got = new float[y.length];
            out.get(got);
            close(y, got, "direct float buffers");

            ByteBuffer shifted = direct(4 * x.length + 1 + 7);
            shifted.position(1); // numbers at odd addresses
            ByteBuffer slice = shifted.slice().order(ByteOrder.nativeOrder());
            slice.asFloatBuffer().put(x);
            slice.limit(4 * x.length);
            ByteBuffer bytesOut = direct(4 * y.length + 3);
            bytesOut.position(3);
            session.run(slice, bytesOut);
            Check.equal(3, bytesOut.position(), "position stays");
            bytesOut.slice().order(ByteOrder.nativeOrder()).asFloatBuffer().get(got);
            close(y, got, "slices of direct buffers");

            float[] wide = new float[x.length + 11];
            System.arraycopy(x, 0, wide, 6, x.length);
            FloatBuffer tail = FloatBuffer.wrap(wide);
            tail.position(1);
            FloatBuffer inner = tail.slice();
            inner.position(5).limit(5 + x.length);
            float[] wideOut = new float[y.length + 9];
            Arrays.fill(wideOut, 7);
            session.run(inner, FloatBuffer.wrap(wideOut, 4, y.length));
            close(y, Arrays.copyOfRange(wideOut, 4, 4 + y.length), "slices of arrays");
            for (int i = 0; i < wideOut.length; i++) {
                Check.that(i >= 4 && i < 4 + y.length || wideOut[i] == 7, "nothing is written beside the output");
            }
            ByteBuffer readOnly = direct(4 * x.length);
            readOnly.asFloatBuffer().put(x);
            session.setInput(0, readOnly.asReadOnlyBuffer().order(ByteOrder.nativeOrder()));
            session.run();
            close(y, session.floats(0), "read-only direct input");
        }
    }

    private void sources() throws Exception {
        byte[] file = Files.readAllBytes(new File(net).toPath());
        try (FileChannel channel = FileChannel.open(new File(net).toPath())) {
            try (Session session = Session.fromBuffer(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()))) {
                runs(session, "mapped buffer");
            }
        }
        for (int shift = 0; shift < 9; shift++) {
            ByteBuffer memory = direct(file.length + 16);
            memory.position(shift);
            memory.put(file);
            memory.position(shift).limit(shift + file.length);
            try (Session session = Session.fromBuffer(memory, new Options().threads(2))) {
                runs(session, "direct buffer at " + shift);
                Check.equal(shift, memory.position(), "position stays");
            }
        }
        try (Session session = Session.fromBuffer(ByteBuffer.wrap(file))) {
            runs(session, "bytes");
        }
        // Beyond the basic plane: not the same in JNI's strings.
        File odd = new File(folder, "mod\u00e8le \ud834\udd1e.spr");
        Files.copy(new File(net).toPath(), odd.toPath());
        try (Session session = Session.fromFile(odd, new Options())) {
            runs(session, "path in UTF-8");
        }
    }

    private void assets() throws Exception {
        AssetManager manager = new AssetManager(new File(folder, "app.apk"));
        AssetSource assets = AndroidSupport.assets(manager);
        Check.equal(4L, manager.openFd("stored.spr").getStartOffset() % 8,
                    "the asset lies at a multiple of 4, no more");
        try (Session session = Session.fromAsset(assets, "stored.spr")) {
            runs(session, "stored asset");
        }
        try (Session session = Session.fromAsset(assets, "packed.spr", new Options().sparse(Options.Sparse.NEVER))) {
            runs(session, "compressed asset");
        }
        Check.fails(Status.IO, () -> Session.fromAsset(assets, "none.spr"), "'none.spr'");
        Check.fails(Status.FORMAT, () -> Session.fromAsset(assets, "damaged.spr"));
        try (RandomAccessFile open = new RandomAccessFile(net, "r")) {
            int fd = new android.os.ParcelFileDescriptor(new File(net), open).getFd();
            Check.fails(Status.ARGUMENT, () -> Model.fromFd(fd, 0, open.length() + 1), "lie within");
            Check.fails(Status.ARGUMENT, () -> Model.fromFd(fd, 0, -1), "negative");
            Check.fails(Status.ARGUMENT, () -> Model.fromFd(fd, -4, 100), "lie within");
        }
        Check.fails(Status.IO, () -> Model.fromFd(-1, 0, 100), "Bad file descriptor");
    }

    private void types() {
        try (Session session = Session.fromFile(path("types.spr"))) {
            Check.equal("bytes: UINT8 [2, 3]", session.input(0).toString(), "input");
            Check.equal(DataType.INT64, session.output(0).type(), "output");
            Check.equal(1, session.outputIndex("\u00e9\ud834\udd1e"), "name in UTF-8");
            Check.equal(2, session.inputIndex("grid"), "input by name");
            ByteBuffer bytes = direct(6);
            bytes.put(new byte[] {0, 1, 2, (byte) 253, (byte) 254, (byte) 255}).rewind();
            long[] sum = new long[6];
            double[] grid = new double[2];
            session.run(new Buffer[] {bytes, LongBuffer.wrap(new long[] {1L << 40, -1, 0, 1, 2, 3}),
                                      IntBuffer.wrap(new int[] {-7, 9})},
                    new Buffer[] {LongBuffer.wrap(sum), java.nio.DoubleBuffer.wrap(grid)});
            Check.that(Arrays.equals(sum, new long[] {1L << 40, 0, 2, 254, 256, 258}),
                       "sum is " + Arrays.toString(sum));
            Check.that(Arrays.equals(grid, new double[] {-7, 9}), "grid is " + Arrays.toString(grid));
            session.setInput(0, ByteBuffer.wrap(new byte[6])); // bytes have no order
            session.run();
            ByteBuffer out = session.newOutput(0);
            session.getOutput(0, out);
            Check.equal(3L, out.asLongBuffer().get(5), "inputs stay until they are set anew");
            Check.fails(Status.ARGUMENT, () -> session.floats(0), "INT64");
            Check.fails(Status.ARGUMENT, () -> session.outputIndex("y"), "'y'", "'sum', '\u00e9\ud834\udd1e'");
            Check.fails(Status.ARGUMENT, () -> session.run(new Buffer[1], new Buffer[2]), "1 input buffers",
                        "3 inputs");
        }
        try (Session session = Session.fromFile(path("found.spr"))) {
            Check.that(!session.output(0).hasShape() && session.output(0).bytes() == -1,
                       "its shape depends on what is computed");
            Check.fails(Status.SHAPE, () -> session.newOutput(0), "'where'", "no known size");
            session.setInput(0, new float[] {0, 3, 0, 5});
            session.run();
            long[] where = new long[2];
            session.getOutput(0, LongBuffer.wrap(where));
            Check.that(where[0] == 1 && where[1] == 3, "places are " + Arrays.toString(where));
            Check.equal("where: INT64 [1, 2]", session.output(0).toString(), "shape of what was found");
        }
    }

    private void shapes() throws IOException {
        try (Session session = Session.fromFile(net)) {
            session.setInputShape(0, 3, 3, 32, 32);
            session.prepare();
            Check.equal("y: FLOAT32 [3, 10]", session.output(0).toString(), "output of another batch");
            session.setInput(0, floats("batch3.x"));
            session.run();
            close(floats("batch3.y"), session.floats(0), "batch of three");
            session.setInputShape(0, 1, 3, 48, 40);
            session.run(session.newInput(0), session.newOutput(0));
            Check.fails(Status.SHAPE, () -> session.setInputShape(0, 3, 32, 32), "rank 3");
            Check.fails(Status.SHAPE, () -> session.setInputShape(0, new long[9]), "more than 8");
            Check.fails(Status.SHAPE, () -> session.setInputShape(0, (long[]) null), "null");
            Check.fails(Status.SHAPE, () -> session.setInputShape(0, 1, 3, -5, 32), "[1, 3, -5, 32]");
            session.setInputShape(0, 1, 4, 32, 32);
            Check.fails(Status.SHAPE, session::prepare, "[1, 4, 32, 32]");
            Check.that(!session.output(0).hasShape(), "nothing is planned");
            session.setInputShape(0, 1, 3, 32, 32);
            runs(session, "as before");
        }
    }

    private void options() {
        for (Options.Sparse sparse : Options.Sparse.values()) {
            try (Session session = Session.fromFile(net,
                                                    new Options().threads(3).cpuMask(1).sparse(sparse).isa("ref"))) {
                runs(session, sparse.toString());
                boolean anySparse = false;
                for (LayerInfo layer : session.layers()) {
                    anySparse |= layer.fill2x1() >= 0 && layer.kernel().matches(".*(csr|2x1).*");
                }
                if (sparse == Options.Sparse.NEVER || sparse == Options.Sparse.ALWAYS) {
                    Check.equal(sparse == Options.Sparse.ALWAYS, anySparse, "sparse kernels with " + sparse);
                }
            }
        }
        try (Session session = Session.fromFile(net, new Options().autotune(true))) {
            Check.that(!session.tuneNote().isEmpty(), "autotune tells what came of it");
            runs(session, "autotuned");
        }
        Check.fails(Status.ARGUMENT, () -> Session.fromFile(net, new Options().threads(0)), "threads is 0");
        Check.fails(Status.ARGUMENT, () -> Session.fromFile(net, new Options().isa("mmx")), "mmx");
        Check.fails(Status.ARGUMENT, () -> Session.fromFile(net, new Options().isa("re\0f")), "character 0");
        Check.fails(Status.ARGUMENT, () -> new Options().sparse(null), "null");
    }

    private void errors() throws IOException {
        Check.fails(Status.IO, () -> Session.fromFile(path("none.spr")), "none.spr", "No such file");
        Check.fails(Status.ARGUMENT, () -> Session.fromFile("a\0b"), "character 0");
        Check.fails(Status.ARGUMENT, () -> Session.fromFile((String) null), "null");
        Check.fails(Status.FORMAT, () -> Session.fromFile(path("damaged.spr")));
        Check.fails(Status.FORMAT, () -> Session.fromBuffer(direct(64)));
        Check.fails(Status.FORMAT, () -> Session.fromBuffer(ByteBuffer.wrap(new byte[0])));
        try (Session session = Session.fromFile(net)) {
            Check.fails(Status.ARGUMENT, () -> session.input(1), "no input");
            Check.fails(Status.ARGUMENT, () -> session.output(-1), "no output");
            Check.fails(Status.ARGUMENT, () -> session.setInput(7, x), "no input");
            Check.fails(Status.ARGUMENT, () -> session.setInputShape(2, 1, 3, 32, 32), "input 2");
            Check.fails(Status.ARGUMENT, () -> session.inputIndex(null), "'null'", "'x'");
            Check.fails(Status.ARGUMENT, () -> session.benchmark(1, 0), "runs 0");
            Check.fails(Status.ARGUMENT, session::profile, "profile(true)");
            runs(session, "after errors");
        }
    }

    private void badBuffers() {
        try (Session session = Session.fromFile(net)) {
            int size = 4 * x.length;
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, (Buffer) null), "input 'x'", "null");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, direct(size - 4)), "tensor 'x'",
                        size - 4 + " bytes");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, new float[x.length + 1]), "tensor 'x'",
                        size + 4 + " bytes");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, IntBuffer.allocate(x.length)), "FLOAT32");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, ByteBuffer.allocateDirect(size)),
                        "native byte order");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, ByteBuffer.allocateDirect(size).asFloatBuffer()),
                        "byte order");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, FloatBuffer.wrap(x).asReadOnlyBuffer()),
                        "read-only");
            Check.fails(Status.ARGUMENT,
                    () -> session.setInput(0, ByteBuffer.allocate(size).order(ByteOrder.nativeOrder()).asFloatBuffer()),
                        "view");
            Check.fails(Status.ARGUMENT, () -> session.setInput(0, java.nio.CharBuffer.allocate(8)), "CharBuffer");
            session.run();
            Check.fails(Status.ARGUMENT,
                    () -> session.getOutput(0, direct(4 * y.length).asReadOnlyBuffer().order(ByteOrder.nativeOrder())),
                        "read-only");
            Check.fails(Status.ARGUMENT, () -> session.getOutput(0, direct(0)), "tensor 'y'");
            runs(session, "after bad buffers");
        }
    }

    private void closing() {
        Model model = Model.fromFile(net);
        Session first = new Session(model);
        Session second = new Session(model, new Options().threads(2));
        Check.equal("[x: FLOAT32 [1, 3, 32, 32]]", model.inputs().toString(), "inputs of the model");
        Check.equal("[y: FLOAT32 [?]]", model.outputs().toString(), "outputs of the model");
        model.close();
        model.close();
        Check.fails(Status.ARGUMENT, () -> new Session(model), "model is closed");
        Check.fails(Status.ARGUMENT, model::inputs, "model is closed");
        first.close();
        first.close();
        Check.fails(Status.ARGUMENT, first::run, "session is closed");
        Check.fails(Status.ARGUMENT, () -> first.floats(0), "session is closed");
        Check.fails(Status.ARGUMENT, () -> first.setInput(0, x), "session is closed");
        Check.fails(Status.ARGUMENT, first::explain, "session is closed");
        runs(second, "a session keeps its model");
        second.close();
        // What Java never does: handles that are none.
        Check.fails(Status.ARGUMENT, () -> Native.run(0), "closed");
        Check.fails(Status.ARGUMENT, () -> Native.closeModel(0), "closed");
        Check.fails(Status.ARGUMENT, () -> Native.createSession(0, 1, 0, 0, null, false, false), "closed");
        Check.fails(Status.ARGUMENT, () -> Native.openBuffer(ByteBuffer.allocate(8), 8), "not direct");
    }

    private void explaining() {
        Check.that(Session.version().matches("\\d+\\.\\d+\\.\\d+"), "version " + Session.version());
        Check.that(!Session.cpuFeatures().isEmpty(), "features " + Session.cpuFeatures());
        try (Session session = Session.fromFile(net, new Options().profile(true))) {
            List<LayerInfo> before = session.layers();
            Check.that(before.size() > 2 && before.get(0).nanos() == 0, "layers before a run");
            runs(session, "profiled");
            long nanos = 0;
            Check.that(before.toString().contains("sparse"), "reasons are told: " + before);
            String table = session.explain();
            for (int i = 0; i < 300; i++) { // references to what is returned must not pile up
                nanos = 0;
                for (LayerInfo layer : session.profile()) {
                    nanos += layer.nanos();
                    Check.that(!layer.name().isEmpty() && !layer.op().isEmpty() && layer.macs() >= 0
                            && layer.output().hasShape() && table.contains(layer.op()), "layer " + layer);
                }
            }
            Check.that(nanos > 0 && nanos < 10_000_000_000L, "profile: " + nanos + " ns");
            MemoryInfo memory = session.memory();
            Check.that(memory.activations() > 0 && memory.weights() > 0 && memory.scratch() >= 0, "memory");
            Timing timing = session.benchmark(2, 9);
            Check.that(timing.runs() == 9 && timing.min() > 0 && timing.min() <= timing.median() &&
                       timing.spread() >= 0,
                    timing.toString());
            close(y, session.floats(0), "after a benchmark");
        }
        Timing known = new Timing(new long[] {4_000_000, 1_000_000, 3_000_000, 2_000_000});
        Check.that(Math.abs(known.median() - 2.5) < 1e-9 && Math.abs(known.spread() - 1.5) < 1e-9 && known.min() == 1,
                   "quantiles");
        Check.equal("2.500 ms median, 1.500 ms spread, 1.000 ms least of 4 runs", known.toString(), "timing");
    }

    private void images() {
        FloatBuffer to = FloatBuffer.allocate(7);
        float[] mean = {0.5f, 0, 0.25f};
        float[] deviation = {1, 0.5f, 2};
        AndroidSupport.putBitmap(new Bitmap(1, new int[] {0xff0080ff, 0x00ff3300}), mean, deviation, to);
        float[] expected = {-0.5f, 0.5f, 2 * 128 / 255f, 0.4f, 0.375f, -0.125f, 0};
        for (int i = 0; i < expected.length; i++) {
            Check.that(Math.abs(to.get(i) - expected[i]) < 1e-6, "plane value " + i + ": " + to.get(i));
        }
        Check.equal(6, to.position(), "position moves on");
        Check.fails(Status.ARGUMENT, () -> Images.putPixels(new int[3], mean, deviation, FloatBuffer.allocate(8)),
                    "3 pixels");
        Check.fails(Status.ARGUMENT, () -> Images.putPixels(new int[3], new float[1], deviation, to), "1 means");
    }
}
