package android.app;

import android.content.res.AssetManager;
import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;

/** Declares what the sample calls, so that it can be compiled without Android's SDK. Nothing of it runs. */
public class Activity {
    protected void onCreate(Bundle saved) {}

    protected void onDestroy() {}

    public void setContentView(int layout) {}

    public <T extends View> T findViewById(int id) {
        return null;
    }

    public final void runOnUiThread(Runnable action) {}

    public AssetManager getAssets() {
        return null;
    }

    public LayoutInflater getLayoutInflater() {
        return null;
    }

    public final String getString(int id, Object... arguments) {
        return null;
    }
}
