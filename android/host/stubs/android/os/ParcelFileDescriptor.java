package android.os;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;

/** Stands in for Android's class on the host (Linux). */
public class ParcelFileDescriptor implements Closeable {
    private final File path;
    private final RandomAccessFile file;

    public ParcelFileDescriptor(File path, RandomAccessFile file) {
        this.path = path;
        this.file = file;
    }

    /**
     * The newest descriptor of this process that is open on the file: Java itself does not tell its descriptors'
     * numbers.
     */
    public int getFd() {
        int newest = -1;
        try {
            for (File fd : new File("/proc/self/fd").listFiles()) {
                if (fd.getCanonicalPath().equals(path.getCanonicalPath())) {
                    newest = Math.max(newest, Integer.parseInt(fd.getName()));
                }
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return newest;
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
