package example.adamra;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** A model folder on the device's GPU. Belongs to one thread at a time. */
final class Classifier implements AutoCloseable {
    static {
        System.loadLibrary("classify");
    }

    private long handle;

    /** cacheFolder: where compiled kernels are kept for the next start. */
    Classifier(String modelFolder, String cacheFolder) throws IOException {
        handle = open(modelFolder, cacheFolder);
    }

    String device() throws IOException {
        return device(handle);
    }

    /** Label, probability and time. */
    String classify(String text) throws IOException {
        return classify(handle, text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public void close() {
        close(handle);
        handle = 0;
    }

    private static native long open(String modelFolder, String cacheFolder) throws IOException;

    private static native void close(long handle);

    private static native String device(long handle) throws IOException;

    private static native String classify(long handle, byte[] text) throws IOException;
}
