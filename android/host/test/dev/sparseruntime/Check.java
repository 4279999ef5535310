package dev.sparseruntime;

/** What the test classes share: counting, and expecting exceptions. */
final class Check {
    private static int passed;
    private static int failed;

    private Check() {}

    interface Action {
        void run() throws Exception;
    }

    static synchronized void that(boolean ok, String what) {
        if (ok) {
            passed++;
            return;
        }
        failed++;
        System.out.println("FAILED: " + what);
        StackTraceElement[] stack = new Throwable().getStackTrace();
        for (int i = 1; i < Math.min(stack.length, 4); i++) {
            System.out.println("    at " + stack[i]);
        }
    }

    static void equal(Object expected, Object got, String what) {
        that(expected.equals(got), what + ": expected " + expected + ", got " + got);
    }

    /** The action must throw a SparseRuntimeException with this status and with these texts in its message. */
    static void fails(Status status, Action action, String... texts) {
        try {
            action.run();
            that(false, "nothing was thrown, expected " + status + " " + String.join(", ", texts));
        } catch (SparseRuntimeException e) {
            equal(status, e.status(), e.getMessage());
            for (String text : texts) {
                that(e.getMessage().contains(text), "'" + text + "' is not in the message: " + e.getMessage());
            }
        } catch (Exception e) {
            that(false, "expected " + status + ", got " + e);
        }
    }

    /** Prints the sums; the status for System.exit. */
    static synchronized int result() {
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }
}
