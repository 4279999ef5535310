package android.graphics;

/** Stands in for Android's class on the host: 0xAARRGGBB pixels. */
public final class Bitmap {
    private final int width;
    private final int[] pixels;

    public Bitmap(int width, int[] pixels) {
        this.width = width;
        this.pixels = pixels;
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return pixels.length / width;
    }

    public void getPixels(int[] to, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            System.arraycopy(pixels, (y + row) * this.width + x, to, offset + row * stride, width);
        }
    }
}
