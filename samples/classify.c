/* adamra classify: which label a model gives to texts. */
#include "classify_print.h"
#include "cli.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A batch holds texts of similar length, so that little of it is padding; its length is rounded up,
 * so that few shapes occur and the model's plans are used again. */
#define BATCH_ROWS   16
#define BATCH_TOKENS 65536
#define LENGTH_STEP  64

/* Where a text lies in the list. */
struct place {
    uint32_t size, index;
};

struct classifier {
    struct cli *cli;
    adamra_model *model;
    adamra_model_info info;
    struct text_list texts;
    struct place *order; /* of texts, by length */
    bool *finished;      /* [texts]: has its logits */
    float *logits;       /* [texts, num_labels]; probabilities at the end */
    int32_t *tokens;     /* [BATCH_ROWS, n] */
    float *batch_logits; /* [BATCH_ROWS, num_labels] */
};

static status load_model(struct classifier *classifier)
{
    struct cli *cli = classifier->cli;
    const char *folder = cli->options.operands.items[0];
    const adamra_model_params params = {.type = cli->options.type};
    status result =
        cli_status(adamra_model_load(cli->context, folder, &params, &classifier->model));
    if (result == STATUS_OK) {
        result = cli_status(adamra_model_get_info(classifier->model, &classifier->info));
    }
    if (result == STATUS_OK && !classifier->info.bytes_tokenizer) {
        result = fail(&cli->log, STATUS_BAD_INPUT,
                      "%s/config.json: key \"tokenizer\" is \"ids\"; expected \"bytes\", which "
                      "takes text (adamra run takes token ids)",
                      folder);
    }
    return result;
}

static status allocate(struct classifier *classifier)
{
    uint64_t count = classifier->texts.count, labels = classifier->info.num_labels;
    uint64_t longest = 0;
    for (uint32_t i = 0; i < count; i++) {
        longest = size_max(longest, classifier->texts.items[i].size);
    }
    longest = size_round_up(longest, LENGTH_STEP);
    classifier->order = calloc(count, sizeof(*classifier->order));
    classifier->finished = calloc(count, sizeof(*classifier->finished));
    classifier->logits = calloc(count * labels, sizeof(float));
    classifier->batch_logits = calloc(BATCH_ROWS * labels, sizeof(float));
    classifier->tokens = calloc(BATCH_ROWS * longest, sizeof(int32_t));
    if (!classifier->order || !classifier->finished || !classifier->logits ||
        !classifier->batch_logits || !classifier->tokens) {
        return fail(&classifier->cli->log, STATUS_OUT_OF_HOST_MEMORY,
                    "classify: no memory for %" PRIu64 " texts", count);
    }
    return STATUS_OK;
}

static int compare_lengths(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order = (a->size > b->size) - (a->size < b->size);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* Rows of the batch that starts at order[first], and its length in tokens. */
static uint32_t plan_batch(const struct classifier *classifier, uint32_t first, uint32_t *n)
{
    uint32_t rows = 0;
    while (rows < BATCH_ROWS && first + rows < classifier->texts.count) {
        const struct text *text = &classifier->texts.items[classifier->order[first + rows].index];
        uint64_t length =
            size_min(size_round_up(text->size, LENGTH_STEP), classifier->info.max_tokens);
        if (rows > 0 && length * (rows + 1) > BATCH_TOKENS) {
            break;
        }
        *n = (uint32_t)length;
        rows++;
    }
    return rows;
}

static status run_batch(struct classifier *classifier, uint32_t first, uint32_t rows, uint32_t n)
{
    uint32_t lengths[BATCH_ROWS], labels = classifier->info.num_labels;
    for (uint32_t row = 0; row < rows; row++) {
        const struct text *text = &classifier->texts.items[classifier->order[first + row].index];
        int32_t *tokens = classifier->tokens + (size_t)row * n;
        lengths[row] = text->size;
        for (uint32_t i = 0; i < n; i++) {
            tokens[i] = i < text->size ? text->bytes[i] : (int32_t)classifier->info.pad_token_id;
        }
    }
    status result = cli_status(adamra_model_run(classifier->model, classifier->tokens, rows, n,
                                                lengths, classifier->batch_logits, NULL));
    for (uint32_t row = 0; result == STATUS_OK && row < rows; row++) {
        uint32_t index = classifier->order[first + row].index;
        memcpy(classifier->logits + (size_t)index * labels,
               classifier->batch_logits + (size_t)row * labels, labels * sizeof(float));
        classifier->finished[index] = true;
    }
    return result;
}

static status run_batches(struct classifier *classifier)
{
    uint32_t count = classifier->texts.count, n = 0, rows;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        classifier->order[i] = (struct place){classifier->texts.items[i].size, i};
    }
    qsort(classifier->order, count, sizeof(*classifier->order), compare_lengths);
    for (uint32_t i = 0; result == STATUS_OK && i < count && !cli_interrupted(); i += rows) {
        rows = plan_batch(classifier, i, &n);
        result = run_batch(classifier, i, rows, n);
    }
    return result;
}

/* After Ctrl-C those that are finished, without an accuracy. */
static status print_all(struct classifier *classifier)
{
    struct cli *cli = classifier->cli;
    uint32_t labels = classifier->info.num_labels, right = 0, all = 0;
    for (uint32_t i = 0; i < classifier->texts.count; i++) {
        const struct text *text = &classifier->texts.items[i];
        float *logits = classifier->logits + (size_t)i * labels;
        uint32_t best = 0;
        if (!classifier->finished[i]) {
            continue;
        }
        if (!probabilities(logits, labels)) {
            return fail(&cli->log, STATUS_UNSUPPORTED, "%s: the model's result is not finite; %s",
                        text->name,
                        cli->options.type == ADAMRA_F16 ? "--dtype f32 has a wider range"
                                                        : "expected smaller weights");
        }
        status result =
            print_result(&cli->log, &cli->options, &classifier->info, text, logits, &best);
        if (result != STATUS_OK) {
            return result;
        }
        right += best == text->label;
        all += text->label != NO_LABEL;
    }
    if (all > 0 && !cli_interrupted()) {
        print_accuracy(&cli->options, right, all);
    }
    return STATUS_OK;
}

static void finish(struct classifier *classifier)
{
    free(classifier->order);
    free(classifier->finished);
    free(classifier->logits);
    free(classifier->batch_logits);
    free(classifier->tokens);
    texts_finish(&classifier->texts);
    adamra_model_destroy(classifier->model);
}

status classify_command(struct cli *cli)
{
    struct classifier classifier = {.cli = cli};
    const struct options *options = &cli->options;
    if (options->operands.count + options->texts.count + options->jsonl.count < 2) {
        return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                    "classify: no text given; expected FILE, - , --text or --jsonl");
    }
    status result = cli_open_device(cli);
    if (result == STATUS_OK) {
        result = load_model(&classifier);
    }
    if (result == STATUS_OK) {
        cli_reading(true);
        result = texts_read(&cli->log, options, &classifier.info, &classifier.texts);
        cli_reading(false);
    }
    if (result == STATUS_OK) {
        result = allocate(&classifier);
    }
    if (result == STATUS_OK) {
        result = run_batches(&classifier);
    }
    if (result == STATUS_OK || result == STATUS_CANCELLED) {
        status printed = print_all(&classifier);
        result = result == STATUS_OK ? printed : result;
    }
    finish(&classifier);
    return result;
}
