/* adamra run: token ids in, logits out. */
#include "base/file.h"
#include "cli.h"
#include "platform.h"
#include "tensors.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows go to the device in batches of about this many tokens, so that Ctrl-C is noticed. */
#define BATCH_TOKENS 65536

struct token_batch {
    struct axes axes;
    uint32_t *lengths; /* NULL: all n */
    int32_t *tokens;   /* [B, n], padding replaced by the model's padding token */
    float *logits;     /* [B, num_labels] */
};

static status read_row(struct logger *log, const struct st_file *file,
                       const struct st_tensor *tensor, uint32_t row, const adamra_model_info *model,
                       struct token_batch *batch)
{
    uint32_t n = batch->axes.size[AXIS_QUERIES];
    uint32_t length = batch->lengths ? batch->lengths[row] : n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t token = model->pad_token_id;
        if (i < length) {
            status result = st_read_ints(log, file, tensor, (uint64_t)row * n + i, 1, &token);
            if (result != STATUS_OK) {
                return result;
            }
            if (token < 0 || token >= model->vocab_size) {
                return fail(log, STATUS_BAD_INPUT,
                            "%s: tensor 'tokens': row %" PRIu32 ", position %" PRIu32
                            " holds %" PRId64 "; expected a token of the vocabulary, 0 to %" PRIu32,
                            file->path, row, i, token, model->vocab_size - 1);
            }
        }
        batch->tokens[(size_t)row * n + i] = (int32_t)token;
    }
    return STATUS_OK;
}

static status read_tensors(struct logger *log, const struct st_file *file,
                           const adamra_model_info *model, struct token_batch *batch)
{
    const struct st_tensor *tensor;
    struct axes *axes = &batch->axes;
    status result = tensors_find(log, file, "tokens", "Bn", axes, &tensor);
    if (result == STATUS_OK && axes->size[AXIS_QUERIES] > model->max_tokens) {
        result = fail(log, STATUS_BAD_INPUT,
                      "%s: tensor 'tokens' has rows of %" PRIu32
                      " tokens; expected at most max_position_embeddings = %" PRIu32,
                      file->path, axes->size[AXIS_QUERIES], model->max_tokens);
    }
    if (result == STATUS_OK) {
        result = tensors_lengths(log, file, "lengths", axes, AXIS_QUERIES, &batch->lengths);
    }
    if (result == STATUS_OK) {
        result = tensors_alloc(log, "tokens", tensor->elements, sizeof(int32_t), &batch->tokens);
    }
    if (result == STATUS_OK) {
        uint64_t count = (uint64_t)axes->size[AXIS_BATCH] * model->num_labels;
        result = tensors_alloc(log, "logits", count, sizeof(float), &batch->logits);
    }
    for (uint32_t row = 0; result == STATUS_OK && row < axes->size[AXIS_BATCH]; row++) {
        result = read_row(log, file, tensor, row, model, batch);
    }
    return result;
}

static status read_tokens(struct cli *cli, const adamra_model_info *model,
                          struct token_batch *batch)
{
    struct st_file file;
    cli_reading(true);
    status result = st_open(&cli->log, cli->options.tokens, &file);
    cli_reading(false);
    if (result == STATUS_OK) {
        result = read_tensors(&cli->log, &file, model, batch);
        st_finish(&file);
    }
    return result;
}

static status compute(struct cli *cli, adamra_model *model, const adamra_model_info *info,
                      const struct token_batch *batch)
{
    uint32_t rows = batch->axes.size[AXIS_BATCH], n = batch->axes.size[AXIS_QUERIES];
    uint32_t step = n < BATCH_TOKENS ? BATCH_TOKENS / (n ? n : 1) : 1;
    double device_ms = 0, host_ms = 0;
    status result = STATUS_OK;
    for (uint64_t row = 0; result == STATUS_OK && row < rows; row += step) {
        adamra_timing timing;
        uint32_t count = (uint32_t)size_min(step, rows - row);
        result = cli_status(adamra_model_run(model, batch->tokens + row * n, count, n,
                                             batch->lengths ? batch->lengths + row : NULL,
                                             batch->logits + row * info->num_labels, &timing));
        if (result == STATUS_OK) {
            device_ms += timing.device_ms;
            host_ms += timing.host_ms;
            result = cli_check_interrupt();
        }
    }
    if (result == STATUS_OK && cli->options.verbose) {
        fprintf(stderr, "call time       %.3f ms\n", host_ms);
        if (device_ms >= 0) {
            fprintf(stderr, "device time     %.3f ms\n", device_ms);
        }
    }
    return result;
}

static status write_logits(struct cli *cli, const adamra_model_info *info,
                           const struct token_batch *batch)
{
    uint32_t rows = batch->axes.size[AXIS_BATCH];
    const struct st_tensor logits = {
        .name = "logits",
        .type = ST_F32,
        .dims = 2,
        .shape = {rows, info->num_labels},
        .elements = (uint64_t)rows * info->num_labels,
        .data = batch->logits,
        .bytes = (uint64_t)rows * info->num_labels * sizeof(float),
    };
    tensors_warn_not_finite(&cli->log, cli->options.output, &logits,
                            cli->options.type == ADAMRA_F16);
    return st_write(&cli->log, cli->options.output, &logits, 1, NULL, 0);
}

static status run_model(struct cli *cli, adamra_model *model)
{
    struct token_batch batch = {0};
    adamra_model_info info;
    status result = cli_status(adamra_model_get_info(model, &info));
    if (result == STATUS_OK) {
        result = read_tokens(cli, &info, &batch);
    }
    if (result == STATUS_OK) {
        result = compute(cli, model, &info, &batch);
    }
    if (result == STATUS_OK) {
        result = cli_settle();
    }
    if (result == STATUS_OK) {
        result = write_logits(cli, &info, &batch);
    }
    free(batch.lengths);
    free(batch.tokens);
    free(batch.logits);
    return result;
}

/* An output takes the place of a file of that name, which is not to be the model. */
static status check_output(struct cli *cli)
{
    static const char *const names[] = {"model.safetensors", "config.json"};
    const char *folder = cli->options.operands.items[0], *output = cli->options.output;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *path = file_join(folder, names[i]);
        if (!path) {
            return fail(&cli->log, STATUS_OUT_OF_HOST_MEMORY, "run: no memory for a path");
        }
        bool same = platform_same_file(path, output);
        free(path);
        if (same) {
            return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                        "run: -o: expected another file than the model's %s, got %s", names[i],
                        output);
        }
    }
    return STATUS_OK;
}

status run_command(struct cli *cli)
{
    const struct options *options = &cli->options;
    const adamra_model_params params = {.type = options->type};
    adamra_model *model = NULL;
    if (!options->tokens || !options->output) {
        return fail(&cli->log, STATUS_INVALID_ARGUMENT, "run: expected %s",
                    options->tokens ? "-o OUT.safetensors, the file to write"
                                    : "--tokens IN.safetensors, the token ids");
    }
    status result = check_output(cli);
    if (result == STATUS_OK) {
        result = cli_open_device(cli);
    }
    if (result == STATUS_OK) {
        result = cli_status(
            adamra_model_load(cli->context, options->operands.items[0], &params, &model));
    }
    if (result == STATUS_OK) {
        result = run_model(cli, model);
    }
    adamra_model_destroy(model);
    return result;
}
