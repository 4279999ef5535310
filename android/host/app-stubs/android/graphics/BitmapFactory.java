package android.graphics;

import java.io.InputStream;

/** Declares what the sample calls. */
public class BitmapFactory {
    public static Bitmap decodeStream(InputStream in) {
        return null;
    }
}
