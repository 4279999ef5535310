package android.graphics;

/** Declares what the sample calls. */
public final class Bitmap {
    public int getWidth() {
        return 0;
    }

    public int getHeight() {
        return 0;
    }

    public void getPixels(int[] to, int offset, int stride, int x, int y, int width, int height) {}

    public static Bitmap createScaledBitmap(Bitmap from, int width, int height, boolean filter) {
        return null;
    }
}
