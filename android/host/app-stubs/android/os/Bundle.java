package android.os;

/** Declares what the sample uses. */
public final class Bundle {}
