package android.content.res;

import java.io.IOException;
import java.io.InputStream;

/** Declares what the sample calls. */
public final class AssetManager {
    public InputStream open(String name) throws IOException {
        return null;
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        return null;
    }

    public String[] list(String folder) throws IOException {
        return null;
    }
}
