package android.widget;

import android.graphics.Bitmap;
import android.view.View;

/** Declares what the sample calls. */
public class ImageView extends View {
    public void setImageBitmap(Bitmap bitmap) {}
}
