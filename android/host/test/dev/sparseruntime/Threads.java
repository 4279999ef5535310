package dev.sparseruntime;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** Many threads, and a garbage collector that is kept busy. */
final class Threads {
    private Threads() {}

    static void test(String net, float[] x, float[] y) throws Exception {
        eightSessions(net, x, y);
        oneSession(net, x, y);
        garbage(net, x, y);
    }

    /** Runs the action in so many threads at once; what they throw is a failure. */
    private static void inThreads(int count, Check.Action action) throws InterruptedException {
        CountDownLatch start = new CountDownLatch(1);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Thread thread = new Thread(() -> {
                try {
                    start.await();
                    action.run();
                } catch (Throwable e) {
                    Check.that(false, "thrown in a thread: " + e);
                }
            }, "worker " + i);
            threads.add(thread);
            thread.start();
        }
        start.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
    }

    /** One model, a session in each thread; the model is closed while they run. */
    private static void eightSessions(String net, float[] x, float[] y) throws Exception {
        Model model = Model.fromFile(net);
        CountDownLatch made = new CountDownLatch(8);
        Thread closer = new Thread(() -> {
            try {
                made.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            model.close();
        });
        closer.start();
        inThreads(8, () -> {
            try (Session session = new Session(model, new Options().threads(2))) {
                made.countDown();
                for (int i = 0; i < 20; i++) {
                    session.setInput(0, x);
                    session.run();
                    HostTest.close(y, session.floats(0), "session in a thread");
                }
            }
        });
        closer.join();
        Check.fails(Status.ARGUMENT, () -> new Session(model), "closed");
    }

    /** One session in eight threads: a call either does its work or says that the session is in use. */
    private static void oneSession(String net, float[] x, float[] y) throws Exception {
        AtomicInteger refused = new AtomicInteger();
        AtomicInteger done = new AtomicInteger();
        try (Session session = Session.fromFile(net)) {
            session.setInput(0, x);
            inThreads(8, () -> {
                for (int i = 0; i < 200; i++) {
                    try {
                        session.run();
                        done.incrementAndGet();
                    } catch (SparseRuntimeException e) {
                        refused.incrementAndGet();
                        Check.that(e.status() == Status.ARGUMENT && e.getMessage().contains("in use by"), e.toString());
                    }
                }
            });
            session.run();
            HostTest.close(y, session.floats(0), "after threads met in a session");
        }
        Check.equal(1600, done.get() + refused.get(), "calls");
        Check.that(done.get() > 0, "none was let in");

        Session busy = Session.fromFile(net);
        busy.setInputShape(0, 16, 3, 160, 160); // some milliseconds a run
        busy.prepare();
        AtomicInteger met = new AtomicInteger();
        Thread runner = new Thread(() -> {
            while (met.get() == 0) {
                try {
                    busy.benchmark(0, 100);
                } catch (SparseRuntimeException e) {
                    Check.that(e.getMessage().contains("in use by"), e.getMessage()); // the other was first, once more
                }
            }
        }, "runner");
        runner.start();
        for (long start = System.nanoTime(); met.get() == 0 && System.nanoTime() - start < 30_000_000_000L;) {
            try {
                busy.inputIndex("x");
            } catch (SparseRuntimeException e) {
                Check.that(e.getMessage().contains("in use by thread 'runner'"), e.getMessage());
                Check.fails(Status.ARGUMENT, busy::close, "in use by");
                met.set(1);
            }
        }
        Check.that(met.getAndSet(1) == 1, "no call came while another ran");
        runner.join();
        busy.close();
    }

    /** Models borrow buffers that nothing else refers to, while garbage is made and collected. */
    private static void garbage(String net, float[] x, float[] y) throws Exception {
        byte[] file = Files.readAllBytes(Paths.get(net));
        Thread collector = new Thread(() -> {
            byte[][] garbage = new byte[64][];
            for (int i = 0; !Thread.currentThread().isInterrupted(); i++) {
                garbage[i % garbage.length] = new byte[1 << 16];
                if (i % 500 == 0) {
                    System.gc();
                }
            }
        });
        collector.start();
        inThreads(3, () -> {
            for (int i = 0; i < 8; i++) {
                ByteBuffer memory = HostTest.direct(file.length);
                memory.put(file).rewind();
                try (Session session = Session.fromBuffer(memory)) {
                    memory = null;
                    for (int k = 0; k < 10; k++) {
                        session.setInput(0, x.clone());
                        float[] got = new float[y.length];
                        session.run();
                        session.getOutput(0, java.nio.FloatBuffer.wrap(got));
                        HostTest.close(y, got, "under garbage collection");
                        Arrays.fill(got, 0);
                        ByteBuffer in = session.newInput(0);
                        in.asFloatBuffer().put(x);
                        session.run(in, session.newOutput(0));
                        HostTest.close(y, session.floats(0), "direct, under garbage collection");
                    }
                }
            }
        });
        collector.interrupt();
        collector.join();
    }
}
