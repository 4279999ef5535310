package dev.sparseruntime.sample;

import dev.sparseruntime.AssetSource;
import dev.sparseruntime.Images;
import dev.sparseruntime.Options;
import dev.sparseruntime.Session;
import dev.sparseruntime.TensorInfo;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.util.List;

/** A network that tells what a picture shows; nothing here needs Android. For one thread at a time. */
final class Classifier implements AutoCloseable {
    /** What a picture shows, how sure that is (from 0 to 1), and how long the network took. */
    static final class Result {
        final String label;
        final float probability;
        final double millis;

        Result(String label, float probability, double millis) {
            this.label = label;
            this.probability = probability;
            this.millis = millis;
        }
    }

    private final Session session;
    private final List<String> labels;
    private final float[] mean = new float[3];
    private final float[] deviation = new float[3];
    private final FloatBuffer input;
    private final FloatBuffer scores;

    /** channels: means of red, green, blue, then their deviations, a line each. */
    Classifier(AssetSource assets, String model, List<String> labels, List<String> channels, Options options) {
        this.labels = labels;
        for (int i = 0; i < 3; i++) {
            mean[i] = Float.parseFloat(channels.get(i));
            deviation[i] = Float.parseFloat(channels.get(i + 3));
        }
        session = Session.fromAsset(assets, model, options);
        input = session.newInput(0).asFloatBuffer();
        scores = session.newOutput(0).asFloatBuffer();
        if (scores.remaining() != labels.size()) {
            session.close();
            throw new IllegalArgumentException(
                    "the network has " + scores.remaining() + " scores, there are " + labels.size() + " labels");
        }
    }

    int width() {
        return size(3);
    }

    int height() {
        return size(2);
    }

    private int size(int axis) {
        TensorInfo info = session.input(0);
        return (int) info.shape()[axis];
    }

    /** Pixels are 0xAARRGGBB, row by row, width() x height() of them. */
    Result classify(int[] pixels) {
        Buffer range = input; // FloatBuffer has a clear of its own in newer libraries: Android 7 to 8 would not find it
        range.clear();
        Images.putPixels(pixels, mean, deviation, input);
        range.flip();
        long start = System.nanoTime();
        session.run(input, scores);
        double millis = (System.nanoTime() - start) * 1e-6;
        int best = 0;
        for (int i = 1; i < labels.size(); i++) {
            if (scores.get(i) > scores.get(best)) {
                best = i;
            }
        }
        double sum = 0;
        for (int i = 0; i < labels.size(); i++) {
            sum += Math.exp(scores.get(i) - scores.get(best));
        }
        return new Result(labels.get(best), (float) (1 / sum), millis);
    }

    /** Median time of a run in milliseconds. */
    double measure() {
        return session.benchmark(5, 30).median();
    }

    @Override
    public void close() {
        session.close();
    }
}
