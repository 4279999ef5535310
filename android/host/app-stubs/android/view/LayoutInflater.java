package android.view;

/** Declares what the sample calls. */
public abstract class LayoutInflater {
    public View inflate(int layout, ViewGroup root, boolean attach) {
        return null;
    }
}
