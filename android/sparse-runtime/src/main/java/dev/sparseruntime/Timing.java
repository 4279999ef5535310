package dev.sparseruntime;

import java.util.Arrays;
import java.util.Locale;

/** Times of repeated runs, in milliseconds. */
public final class Timing {
    private final double[] sorted;

    Timing(long[] nanos) {
        sorted = new double[nanos.length];
        for (int i = 0; i < nanos.length; i++) {
            sorted[i] = nanos[i] * 1e-6;
        }
        Arrays.sort(sorted);
    }

    public int runs() {
        return sorted.length;
    }

    public double median() {
        return quantile(0.5);
    }

    public double min() {
        return sorted[0];
    }

    /** The interquartile range: within it lies the middle half of the times. */
    public double spread() {
        return quantile(0.75) - quantile(0.25);
    }

    /** Between two times it is interpolated linearly. */
    private double quantile(double q) {
        double at = q * (sorted.length - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%.3f ms median, %.3f ms spread, %.3f ms least of %d runs", median(),
                spread(), min(), runs());
    }
}
