package example.adamra;

import android.app.Activity;
import android.os.Bundle;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.EditText;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Tells the language of what is typed, with the model of samples/models/langid. */
public final class MainActivity extends Activity {
    private static final String MODEL = "langid";
    private static final String[] FILES = {"config.json", "model.safetensors"};

    /** All use of the library happens here: its objects belong to one thread. */
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Classifier classifier; // the worker's
    private TextView result;

    private interface Task {
        String run() throws IOException;
    }

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        EditText text = new EditText(this);
        text.setText("Ein Satz in irgendeiner Sprache, der lang genug ist.");
        Button button = new Button(this);
        button.setText("Which language?");
        result = new TextView(this);
        result.setTextIsSelectable(true);

        LinearLayout layout = new LinearLayout(this);
        layout.setOrientation(LinearLayout.VERTICAL);
        layout.setFitsSystemWindows(true);
        for (android.view.View view : new android.view.View[] {text, button, result}) {
            layout.addView(view, ViewGroup.LayoutParams.MATCH_PARENT,
                    ViewGroup.LayoutParams.WRAP_CONTENT);
        }
        setContentView(layout);

        show(this::open);
        button.setOnClickListener(view -> {
            String typed = text.getText().toString();
            show(() -> classifier == null ? "There is no model." : classifier.classify(typed));
        });
    }

    @Override
    protected void onDestroy() {
        worker.execute(() -> {
            if (classifier != null) {
                classifier.close();
            }
        });
        worker.shutdown();
        super.onDestroy();
    }

    /** Runs a task on the worker and shows what it returns, or why it failed. */
    private void show(Task task) {
        worker.execute(() -> {
            String text;
            try {
                text = task.run();
            } catch (IOException failure) {
                text = failure.getMessage();
            }
            String line = text;
            runOnUiThread(() -> result.setText(line));
        });
    }

    private String open() throws IOException {
        File folder = new File(getFilesDir(), MODEL);
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException(folder + ": cannot be made");
        }
        for (String name : FILES) {
            copyAsset(MODEL + "/" + name, new File(folder, name));
        }
        classifier = new Classifier(folder.getPath(), getCacheDir().getPath());
        return classifier.device();
    }

    /** The library reads files; assets are parts of the package. */
    private void copyAsset(String asset, File target) throws IOException {
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = getAssets().open(asset);
                OutputStream out = new FileOutputStream(target)) {
            for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
                out.write(buffer, 0, count);
            }
        }
    }
}
