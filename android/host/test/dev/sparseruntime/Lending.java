package dev.sparseruntime;

import java.lang.ref.WeakReference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Direct buffers that the core reads where they lie, or copies before each run where it cannot: nobody must see a
 * difference but in time. Inputs of 32 x 32 pixels can be read in place, those of 30 x 30 cannot.
 */
final class Lending {
    private static final int[] SIDES = {32, 30};

    private Lending() {}

    static void test(String net) throws Exception {
        inPlace(net);
        for (int side : SIDES) {
            results(net, side);
            changes(net, side);
            collected(net, side);
            misuse(net, side);
        }
    }

    private static Session session(String net, int side, int threads) {
        Session session = Session.fromFile(net, new Options().threads(threads));
        session.setInputShape(0, 1, 3, side, side);
        return session;
    }

    private static float[] picture(int side, int seed) {
        Random random = new Random(seed);
        float[] values = new float[3 * side * side];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** What the network makes of a copy of these. */
    private static float[] expected(String net, int side, float[] values) {
        try (Session session = session(net, side, 1)) {
            session.setInput(0, values);
            session.run();
            return session.floats(0);
        }
    }

    /** A direct buffer in native order whose remaining bytes, from `shift` on, are these numbers. */
    private static ByteBuffer direct(float[] values, int shift) {
        ByteBuffer buffer = HostTest.direct(4 * values.length + 64);
        buffer.position(shift);
        buffer.slice().order(ByteOrder.nativeOrder()).asFloatBuffer().put(values);
        buffer.limit(shift + 4 * values.length);
        return buffer;
    }

    private static void put(ByteBuffer to, float[] values) {
        to.slice().order(ByteOrder.nativeOrder()).asFloatBuffer().put(values);
    }

    private static void same(float[] expected, float[] got, String what) {
        Check.that(Arrays.equals(expected, got), what + ": " + Arrays.toString(got) + " instead of "
                + Arrays.toString(expected));
    }

    /** At the core itself: what changes between loan and run is seen where there is no copy, and only there. */
    private static void inPlace(String net) {
        for (int side : SIDES) {
            float[] first = picture(side, 1);
            float[] second = picture(side, 2);
            for (int shift : new int[] {0, 4, 1, 2, 3}) {
                long model = Native.openFile(Model.utf8("path", net));
                long session = Native.createSession(model, 1, 0, 0, null, false, false);
                Native.setInputShape(session, 0, new long[] {1, 3, side, side});
                ByteBuffer buffer = direct(first, shift);
                Native.lendInput(session, 0, buffer, shift, 4L * first.length);
                put(buffer, second);
                Native.run(session);
                float[] got = new float[10];
                Native.getOutputArray(session, 0, got, 0, 40);
                boolean lent = side == 32 && shift % 4 == 0;
                same(expected(net, side, lent ? second : first), got, "lent at " + shift + ", " + side + " pixels");
                Native.freeSession(session);
                Native.closeModel(model);
            }
        }
    }

    /** Bit for bit what a copy gives, from any place in any kind of direct buffer. */
    private static void results(String net, int side) {
        float[] values = picture(side, 3);
        float[] expected = expected(net, side, values);
        for (int threads = 1; threads <= 2; threads++) {
            for (int shift : new int[] {0, 1, 2, 4, 12, 16}) {
                ByteBuffer bytes = direct(values, shift);
                ByteBuffer slice = bytes.slice().order(ByteOrder.nativeOrder());
                FloatBuffer wide = HostTest.direct(4 * values.length + 32).asFloatBuffer();
                wide.position(3);
                wide.put(values);
                wide.position(3).limit(3 + values.length);
                ByteBuffer readOnly = slice.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
                Buffer[] kinds = {bytes, slice, slice.asFloatBuffer(), wide, readOnly};
                for (Buffer each : kinds) {
                    try (Session session = session(net, side, threads)) {
                        int position = each.position();
                        String what = each.getClass().getSimpleName() + " at " + shift + ", " + threads + " threads";
                        session.lendInput(0, each);
                        session.run();
                        same(expected, session.floats(0), "lent " + what);
                        Check.that(each.position() == position && each.remaining() % values.length == 0,
                                   "position and limit stay");
                        ByteBuffer out = session.newOutput(0);
                        session.setInput(0, new float[values.length]);
                        session.run(each, out);
                        session.run();
                        same(expected, session.floats(0), "run with " + what);
                    }
                }
            }
        }
    }

    /** Every run sees what lies in the buffer then, until the input is given anew; copies stay as they were. */
    private static void changes(String net, int side) {
        float[][] values = new float[6][];
        float[][] expected = new float[values.length][];
        for (int i = 0; i < values.length; i++) {
            values[i] = picture(side, 10 + i);
            expected[i] = expected(net, side, values[i]);
        }
        ByteBuffer buffer = direct(values[0], 8);
        ByteBuffer content = buffer.slice();
        try (Session session = session(net, side, 1)) {
            session.lendInput(0, buffer);
            buffer.clear(); // the range stays as it was
            for (int i = 1; i < values.length; i++) {
                put(content, values[i]);
                session.run();
                same(expected[i], session.floats(0), "changed after lending, run " + i);
                session.run();
                same(expected[i], session.floats(0), "unchanged, run " + i);
            }
            put(content, values[0]);
            session.benchmark(1, 2);
            same(expected[0], session.floats(0), "benchmark");
            session.setInputShape(0, 1, 3, side, side);
            put(content, values[1]);
            session.run();
            same(expected[1], session.floats(0), "the present shape again");

            session.setInput(0, content.duplicate().order(ByteOrder.nativeOrder()).limit(4 * values[0].length));
            put(content, values[2]);
            session.run();
            same(expected[1], session.floats(0), "a copy");

            FloatBuffer out = session.newOutput(0).asFloatBuffer();
            FloatBuffer in = direct(values[3], 0).order(ByteOrder.nativeOrder()).asFloatBuffer();
            in.limit(values[3].length);
            session.run(in, out);
            float[] got = new float[out.remaining()];
            out.get(got);
            same(expected[3], got, "run");
            in.put(values[4]);
            session.run();
            same(expected[4], session.floats(0), "changed after run with buffers");

            session.run(FloatBuffer.wrap(values[5]), session.newOutput(0));
            in.rewind();
            in.put(values[2]);
            session.run();
            same(expected[5], session.floats(0), "an array ends the loan");

            session.lendInput(0, in.rewind());
            session.setInputShape(0, 1, 3, side + 2, side);
            session.run();
            session.setInputShape(0, 1, 3, side, side);
            session.run();
            same(expected(net, side, new float[values[0].length]), session.floats(0), "lost with the shape");
        }
    }

    private static void collect() throws InterruptedException {
        List<ByteBuffer> garbage = new ArrayList<>();
        for (int i = 0; i < 20; i++) { // takes and overwrites what was freed
            ByteBuffer memory = ByteBuffer.allocateDirect(16384);
            while (memory.hasRemaining()) {
                memory.put((byte) 0x77);
            }
            garbage.add(memory);
        }
        System.gc();
        Thread.sleep(2); // direct memory is freed by a thread of its own
    }

    /** Nothing but the loan holds the buffer, and nothing does when it has ended. */
    private static void collected(String net, int side) throws Exception {
        float[] values = picture(side, 20);
        float[] expected = expected(net, side, values);
        for (int end = 0; end < 4; end++) {
            Session session = session(net, side, 2);
            WeakReference<Buffer> buffer = lent(session, values, end % 2 == 0);
            for (int i = 0; i < 5; i++) {
                collect();
                session.run();
                same(expected, session.floats(0), "after collecting garbage");
            }
            Check.that(buffer.get() != null, "the session holds what it was lent");
            if (end == 0) {
                session.setInput(0, values);
            } else if (end == 1) {
                session.lendInput(0, direct(values, 4));
            } else if (end == 2) {
                session.setInputShape(0, 2, 3, side, side);
            } else {
                session.close();
            }
            for (int i = 0; i < 100 && buffer.get() != null; i++) {
                collect();
            }
            Check.that(buffer.get() == null, "the session lets go of the buffer: " + end);
            if (end < 2) {
                session.run();
                same(expected, session.floats(0), "after the loan");
            }
            session.close();
        }
    }

    private static WeakReference<Buffer> lent(Session session, float[] values, boolean once) {
        ByteBuffer buffer = direct(values, 0);
        if (once) {
            session.lendInput(0, buffer);
        } else {
            session.run(buffer, session.newOutput(0));
        }
        return new WeakReference<>(buffer);
    }

    private static void misuse(String net, int side) {
        float[] values = picture(side, 30);
        float[] expected = expected(net, side, values);
        int size = 4 * values.length;
        Session session = session(net, side, 1);
        session.lendInput(0, direct(values, 0));
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, null), "input 'x'", "null");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, FloatBuffer.wrap(values)), "input 'x'", "not direct");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, HostTest.direct(size - 4)), "tensor 'x'",
                    size - 4 + " bytes given", "takes " + size);
        Check.fails(Status.ARGUMENT, () -> session.run(HostTest.direct(size + 4), HostTest.direct(40)), "tensor 'x'",
                    size + 4 + " bytes given");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, HostTest.direct(size).asIntBuffer()), "FLOAT32");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, ByteBuffer.allocateDirect(size)), "native byte order");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(1, direct(values, 0)), "no input");
        Check.fails(Status.ARGUMENT, () -> session.lendInput(-1, direct(values, 0)), "no input");
        session.run();
        same(expected, session.floats(0), "what was refused changes nothing");
        session.setInputShape(0, 1, 4, side, side);
        Check.fails(Status.SHAPE, () -> session.lendInput(0, HostTest.direct(16 * side * side)), "[1, 4, ");
        session.close();
        Check.fails(Status.ARGUMENT, () -> session.lendInput(0, direct(values, 0)), "session is closed");
        Check.fails(Status.ARGUMENT, () -> Native.lendInput(0, 0, direct(values, 0), 0, size), "closed");
    }
}
