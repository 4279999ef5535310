package android.content.res;

import android.os.ParcelFileDescriptor;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** Stands in for Android's class on the host: assets are the entries assets/NAME of a zip file, as in an APK. */
public final class AssetManager {
    private final File apk;

    public AssetManager(File apk) {
        this.apk = apk;
    }

    public InputStream open(String name) throws IOException {
        ZipFile zip = new ZipFile(apk);
        ZipEntry entry = zip.getEntry("assets/" + name);
        if (entry == null) {
            zip.close();
            throw new FileNotFoundException(name);
        }
        return zip.getInputStream(entry);
    }

    /** As on Android, only for entries that are stored uncompressed. */
    public AssetFileDescriptor openFd(String name) throws IOException {
        try (ZipFile zip = new ZipFile(apk)) {
            ZipEntry entry = zip.getEntry("assets/" + name);
            if (entry == null || entry.getMethod() != ZipEntry.STORED) {
                throw new FileNotFoundException(
                    "This file can not be opened as a file descriptor; it is probably compressed");
            }
            RandomAccessFile file = new RandomAccessFile(apk, "r");
            return new AssetFileDescriptor(new ParcelFileDescriptor(apk, file), dataOffset(file, entry),
                                           entry.getSize());
        }
    }

    /** Where an entry's data lie: behind its local header. */
    private static long dataOffset(RandomAccessFile file, ZipEntry entry) throws IOException {
        byte[] name = entry.getName().getBytes("UTF-8");
        byte[] all = new byte[(int) file.length()];
        file.readFully(all);
        search:
        for (int at = 0; at + 30 + name.length <= all.length; at++) {
            if (all[at] != 'P' || all[at + 1] != 'K' || all[at + 2] != 3 || all[at + 3] != 4) {
                continue;
            }
            for (int i = 0; i < name.length; i++) {
                if (all[at + 30 + i] != name[i]) {
                    continue search;
                }
            }
            return at + 30 + number(all, at + 26) + number(all, at + 28);
        }
        throw new FileNotFoundException(entry.getName());
    }

    private static int number(byte[] bytes, int at) {
        return bytes[at] & 255 | (bytes[at + 1] & 255) << 8;
    }
}
