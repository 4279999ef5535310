package dev.sparseruntime.sample;

import dev.sparseruntime.Model;
import dev.sparseruntime.Options;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;

/**
 * The sample's Classifier on the host. Arguments: folder of assets; then files of pixels (0xAARRGGBB as little-endian
 * integers), for each of which it prints label and probability. Last a line with the times, dense and sparse.
 */
final class SampleTest {
    private SampleTest() {}

    private static Classifier classifier(File folder, Options options) throws Exception {
        List<String> labels = Files.readAllLines(new File(folder, "labels.txt").toPath());
        List<String> channels = Files.readAllLines(new File(folder, "channels.txt").toPath());
        return new Classifier(name -> Model.fromFile(new File(folder, name)), "model.spr", labels, channels, options);
    }

    public static void main(String[] args) throws Exception {
        File folder = new File(args[0]);
        double sparse;
        try (Classifier classifier = classifier(folder, new Options())) {
            for (String file : Arrays.asList(args).subList(1, args.length)) {
                int[] pixels = new int[classifier.width() * classifier.height()];
                ByteBuffer.wrap(Files.readAllBytes(new File(file).toPath())).order(ByteOrder.LITTLE_ENDIAN)
                    .asIntBuffer().get(pixels);
                Classifier.Result result = classifier.classify(pixels);
                System.out.println(result.label + "\t" + result.probability);
            }
            sparse = classifier.measure();
        }
        try (Classifier classifier = classifier(folder, new Options().sparse(Options.Sparse.NEVER))) {
            System.out.println(classifier.measure() + "\t" + sparse);
        }
    }
}
