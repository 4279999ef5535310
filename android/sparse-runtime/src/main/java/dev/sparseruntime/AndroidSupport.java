package dev.sparseruntime;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import android.graphics.Bitmap;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;

/** All that needs Android's classes; the rest of the package runs on any Java machine. */
public final class AndroidSupport {
    private AndroidSupport() {}

    /**
     * An app's assets: {@code AndroidSupport.assets(context.getAssets())}. A model is mapped where it lies in the APK,
     * if it is stored there uncompressed ({@code androidResources { noCompress += "spr" }}); a compressed one is read
     * into memory.
     */
    public static AssetSource assets(AssetManager assets) {
        return name -> {
            try (AssetFileDescriptor file = assets.openFd(name)) {
                return Model.fromFd(file.getParcelFileDescriptor().getFd(), file.getStartOffset(), file.getLength());
            } catch (FileNotFoundException compressed) { // or not there at all: then open says so
                return readAsset(assets, name);
            } catch (IOException e) {
                throw failed(name, e);
            }
        };
    }

    private static Model readAsset(AssetManager assets, String name) {
        try (InputStream in = assets.open(name)) {
            byte[] data = new byte[1 << 16];
            int size = 0;
            for (int n; (n = in.read(data, size, data.length - size)) >= 0; size += n) {
                if (size + n == data.length) {
                    data = Arrays.copyOf(data, 2 * data.length);
                }
            }
            return Model.fromBuffer(ByteBuffer.wrap(data, 0, size));
        } catch (IOException e) {
            throw failed(name, e);
        }
    }

    private static SparseRuntimeException failed(String name, IOException cause) {
        return new SparseRuntimeException(Status.IO, "cannot read asset '" + name + "': " + cause.getMessage(), cause);
    }

    /** {@link Images#putPixels} of a whole bitmap, which must not be a hardware bitmap. */
    public static void putBitmap(Bitmap bitmap, float[] mean, float[] deviation, FloatBuffer to) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        int[] pixels = new int[width * height];
        bitmap.getPixels(pixels, 0, width, 0, 0, width, height);
        Images.putPixels(pixels, mean, deviation, to);
    }
}
