package android.view;

/** Declares what the sample calls. */
public class View {
    public interface OnClickListener {
        void onClick(View view);
    }

    public void setOnClickListener(OnClickListener listener) {}

    public void setEnabled(boolean enabled) {}

    public final <T extends View> T findViewById(int id) {
        return null;
    }
}
