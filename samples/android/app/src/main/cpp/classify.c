/* The native half of Classifier.java: a context, a model, and texts to labels.
 *
 * A handle is the address of a `struct classifier`, which belongs to one thread at a time, as the
 * context does. Failures become a java.io.IOException with the library's own line. */
#include <adamra.h>
#include <android/log.h>
#include <jni.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct classifier {
    adamra_context *context;
    adamra_model *model;
    adamra_model_info info;
    int32_t *tokens; /* [max_tokens] */
    float *logits;   /* [num_labels] */
};

static void write_log(void *user, adamra_log_level level, const char *text)
{
    static const int priorities[] = {ANDROID_LOG_ERROR, ANDROID_LOG_WARN, ANDROID_LOG_INFO,
                                     ANDROID_LOG_DEBUG};
    (void)user;
    __android_log_write(priorities[level], "adamra", text);
}

static void throw_failure(JNIEnv *env, const char *reason)
{
    jclass type = (*env)->FindClass(env, "java/io/IOException");
    if (type)
        (*env)->ThrowNew(env, type, reason);
}

static void destroy(struct classifier *classifier)
{
    adamra_model_destroy(classifier->model);
    adamra_context_destroy(classifier->context);
    free(classifier->tokens);
    free(classifier->logits);
    free(classifier);
}

/* NULL when all is well, else why not. */
static const char *load(struct classifier *classifier, const char *folder, const char *cache)
{
    const adamra_cache files = {.folder = cache};
    const adamra_context_params params = {.log = write_log, .cache = &files};
    adamra_status status = adamra_context_create(&params, &classifier->context);
    if (status != ADAMRA_OK)
        return adamra_status_text(status);
    if (adamra_model_load(classifier->context, folder, NULL, &classifier->model) != ADAMRA_OK ||
        adamra_model_get_info(classifier->model, &classifier->info) != ADAMRA_OK)
        return adamra_error(classifier->context);
    if (!classifier->info.bytes_tokenizer)
        return "the model takes token ids, not text";
    classifier->tokens = calloc(classifier->info.max_tokens, sizeof(*classifier->tokens));
    classifier->logits = calloc(classifier->info.num_labels, sizeof(*classifier->logits));
    return classifier->tokens && classifier->logits ? NULL : "no memory";
}

JNIEXPORT jlong JNICALL Java_example_adamra_Classifier_open(JNIEnv *env, jclass type,
                                                            jstring folder, jstring cache)
{
    (void)type;
    const char *folder_text = (*env)->GetStringUTFChars(env, folder, NULL);
    const char *cache_text = (*env)->GetStringUTFChars(env, cache, NULL);
    struct classifier *classifier = calloc(1, sizeof(*classifier));
    const char *reason = classifier && folder_text && cache_text
                             ? load(classifier, folder_text, cache_text)
                             : "no memory";
    if (reason) {
        throw_failure(env, reason);
        if (classifier)
            destroy(classifier);
        classifier = NULL;
    }
    if (folder_text)
        (*env)->ReleaseStringUTFChars(env, folder, folder_text);
    if (cache_text)
        (*env)->ReleaseStringUTFChars(env, cache, cache_text);
    return (jlong)(intptr_t)classifier;
}

JNIEXPORT void JNICALL Java_example_adamra_Classifier_close(JNIEnv *env, jclass type, jlong handle)
{
    (void)env, (void)type;
    if (handle)
        destroy((struct classifier *)(intptr_t)handle);
}

JNIEXPORT jstring JNICALL Java_example_adamra_Classifier_device(JNIEnv *env, jclass type,
                                                                jlong handle)
{
    (void)type;
    const struct classifier *classifier = (const struct classifier *)(intptr_t)handle;
    adamra_device_info info;
    if (adamra_context_device(classifier->context, &info) != ADAMRA_OK) {
        throw_failure(env, adamra_error(classifier->context));
        return NULL;
    }
    return (*env)->NewStringUTF(env, info.name);
}

/* The most probable label, and how probable it is: softmax over the logits. */
static jstring describe_best(JNIEnv *env, const struct classifier *classifier, double ms)
{
    uint32_t best = 0;
    double sum = 0;
    for (uint32_t i = 1; i < classifier->info.num_labels; i++)
        best = classifier->logits[i] > classifier->logits[best] ? i : best;
    for (uint32_t i = 0; i < classifier->info.num_labels; i++)
        sum += exp((double)classifier->logits[i] - classifier->logits[best]);
    char line[160];
    snprintf(line, sizeof(line), "%.80s  %.4f  (%.1f ms)", classifier->info.labels[best], 1 / sum,
             ms);
    return (*env)->NewStringUTF(env, line);
}

/* A byte of the text is a token; what is longer than the model takes is left out. */
JNIEXPORT jstring JNICALL Java_example_adamra_Classifier_classify(JNIEnv *env, jclass type,
                                                                  jlong handle, jbyteArray text)
{
    (void)type;
    struct classifier *classifier = (struct classifier *)(intptr_t)handle;
    uint32_t size = (uint32_t)(*env)->GetArrayLength(env, text);
    uint32_t n = size < classifier->info.max_tokens ? size : classifier->info.max_tokens;
    if (n == 0) {
        throw_failure(env, "the text is empty");
        return NULL;
    }
    jbyte *bytes = (*env)->GetByteArrayElements(env, text, NULL);
    if (!bytes)
        return NULL; /* an exception is on its way */
    for (uint32_t i = 0; i < n; i++)
        classifier->tokens[i] = (uint8_t)bytes[i];
    (*env)->ReleaseByteArrayElements(env, text, bytes, JNI_ABORT);

    adamra_timing timing;
    if (adamra_model_run(classifier->model, classifier->tokens, 1, n, NULL, classifier->logits,
                         &timing) != ADAMRA_OK) {
        throw_failure(env, adamra_error(classifier->context));
        return NULL;
    }
    return describe_best(env, classifier, timing.host_ms);
}
