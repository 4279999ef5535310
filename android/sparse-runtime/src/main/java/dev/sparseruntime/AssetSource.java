package dev.sparseruntime;

/** Where models are looked up by name: an app's assets ({@link AndroidSupport#assets}), or anything else. */
public interface AssetSource {
    /** Opens a model; throws {@link SparseRuntimeException} where there is none of that name. */
    Model open(String name);
}
