package dev.sparseruntime;

import java.nio.FloatBuffer;

/** Pictures as tensors. */
public final class Images {
    private Images() {}

    /**
     * Puts pixels (0xAARRGGBB, row by row; alpha is ignored) as planes red, green, blue: (value / 255 - mean) /
     * deviation, with the means and deviations the network was trained with. The buffer's position moves on by 3 x
     * pixels.length.
     */
    public static void putPixels(int[] pixels, float[] mean, float[] deviation, FloatBuffer to) {
        if (mean.length != 3 || deviation.length != 3 || to.remaining() / 3 < pixels.length) {
            throw new SparseRuntimeException(Status.ARGUMENT, mean.length + " means and " + deviation.length
                    + " deviations given, 3 each are needed; " + pixels.length + " pixels for a buffer of "
                    + to.remaining());
        }
        for (int channel = 0; channel < 3; channel++) {
            int shift = 16 - 8 * channel;
            float scale = 1 / (255 * deviation[channel]);
            float offset = mean[channel] / deviation[channel];
            for (int pixel : pixels) {
                to.put((pixel >> shift & 255) * scale - offset);
            }
        }
    }
}
