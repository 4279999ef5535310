package android.view;

/** Declares what the sample calls. */
public abstract class ViewGroup extends View {
    public void addView(View child) {}
}
