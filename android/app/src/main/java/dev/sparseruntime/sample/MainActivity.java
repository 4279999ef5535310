package dev.sparseruntime.sample;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.TextView;
import dev.sparseruntime.AndroidSupport;
import dev.sparseruntime.AssetSource;
import dev.sparseruntime.Options;
import dev.sparseruntime.Session;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Classifies the pictures in the assets, and measures the same network run dense and run sparse. android/make_assets.py
 * makes both.
 */
public class MainActivity extends Activity {
    private static final String MODEL = "model.spr";
    private static final int[] THREADS = {1, 2, 4};

    private interface Job {
        void run() throws IOException;
    }

    /** The network never runs on the main thread. */
    private final ExecutorService worker = Executors.newSingleThreadExecutor();

    private TextView status;
    private ViewGroup pictures;
    private View measure;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        status = findViewById(R.id.status);
        pictures = findViewById(R.id.pictures);
        measure = findViewById(R.id.measure);
        measure.setOnClickListener(view -> {
            measure.setEnabled(false);
            status.setText(R.string.measuring);
            start(this::measure);
        });
        start(this::classify);
    }

    @Override
    protected void onDestroy() {
        worker.shutdownNow();
        super.onDestroy();
    }

    /** Runs a job beside the main thread; shows what went wrong. */
    private void start(Job job) {
        worker.execute(() -> {
            try {
                job.run();
            } catch (IOException | RuntimeException e) {
                show(e.toString());
            }
        });
    }

    private void show(String text) {
        runOnUiThread(() -> {
            status.setText(text);
            measure.setEnabled(true);
        });
    }

    private Classifier classifier(Options.Sparse sparse, int threads) throws IOException {
        AssetSource assets = AndroidSupport.assets(getAssets());
        Options options = new Options().sparse(sparse).threads(threads);
        return new Classifier(assets, MODEL, lines("labels.txt"), lines("channels.txt"), options);
    }

    private List<String> lines(String asset) throws IOException {
        List<String> lines = new ArrayList<>();
        InputStream in = getAssets().open(asset);
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
            for (String line; (line = reader.readLine()) != null; ) {
                lines.add(line);
            }
        }
        return lines;
    }

    private void classify() throws IOException {
        try (Classifier classifier = classifier(Options.Sparse.AUTO, 1)) {
            int width = classifier.width();
            int height = classifier.height();
            for (String name : getAssets().list("pictures")) {
                Bitmap bitmap;
                try (InputStream in = getAssets().open("pictures/" + name)) {
                    bitmap = Bitmap.createScaledBitmap(BitmapFactory.decodeStream(in), width, height, true);
                }
                int[] pixels = new int[width * height];
                bitmap.getPixels(pixels, 0, width, 0, 0, width, height);
                Classifier.Result result = classifier.classify(pixels);
                String text = getString(R.string.scored, result.label, 100 * result.probability, result.millis);
                runOnUiThread(() -> addRow(bitmap, text));
            }
        }
        show(getString(R.string.cpu, Session.cpuFeatures(), Session.version()));
    }

    private void addRow(Bitmap bitmap, String text) {
        View row = getLayoutInflater().inflate(R.layout.row, pictures, false);
        ImageView image = row.findViewById(R.id.image);
        TextView label = row.findViewById(R.id.text);
        image.setImageBitmap(bitmap);
        label.setText(text);
        pictures.addView(row);
    }

    private void measure() throws IOException {
        String text = getString(R.string.cpu, Session.cpuFeatures(), Session.version());
        for (int threads : THREADS) {
            if (threads > Runtime.getRuntime().availableProcessors()) {
                break;
            }
            double dense;
            double sparse;
            try (Classifier classifier = classifier(Options.Sparse.NEVER, threads)) {
                dense = classifier.measure();
            }
            try (Classifier classifier = classifier(Options.Sparse.AUTO, threads)) {
                sparse = classifier.measure();
            }
            text = getString(R.string.measured, text, threads, dense, sparse, dense / sparse);
        }
        show(text);
    }
}
