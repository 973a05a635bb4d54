#include "api/model.h"
#include "base/file.h"
#include "gpu/cache.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Activations of one submission, at most: a larger batch runs in slices, as does one that finds
 * less memory free. */
#define SLICE_BYTES ((uint64_t)256 << 20)

/* A batch as the caller gave it, or a slice of it. */
struct model_batch {
    const int32_t *tokens;   /* [count, n] */
    const uint32_t *lengths; /* [count]; NULL: all n */
    uint32_t count, n;
    float *logits; /* [count, num_labels] */
};

static uint32_t row_length(const struct model_batch *batch, uint32_t row)
{
    return batch->lengths ? batch->lengths[row] : batch->n;
}

/* ---- loading ---- */

/* Where a model's two files are: in a folder, or in memory. */
struct model_source {
    const char *folder; /* NULL: in memory */
    const void *config, *weights;
    size_t config_bytes, weights_bytes;
};

static status load_folder(struct adamra_model *model, const char *folder, enum element_type type)
{
    struct logger *log = &model->context->log;
    char *config = file_join(folder, "config.json");
    char *weights = file_join(folder, "model.safetensors");
    status result = STATUS_OK;
    if (!config || !weights)
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for a path", folder);
    if (result == STATUS_OK)
        result = config_open(log, config, &model->config);
    if (result == STATUS_OK)
        result = weights_load(log, model->context->device, &model->config, weights, type,
                              &model->weights);
    free(config);
    free(weights);
    return result;
}

static status load_memory(struct adamra_model *model, const struct model_source *source,
                          enum element_type type)
{
    struct logger *log = &model->context->log;
    struct st_file file;
    status result =
        config_parse(log, "config.json", source->config, source->config_bytes, &model->config);
    if (result == STATUS_OK)
        result =
            st_parse(log, "model.safetensors", source->weights, source->weights_bytes, &file);
    if (result != STATUS_OK)
        return result;
    result = weights_take(log, model->context->device, &model->config, &file, type,
                          &model->weights);
    st_finish(&file);
    return result;
}

static status load(struct adamra_context *context, const struct model_source *source,
                   const adamra_model_params *params, struct adamra_model **out)
{
    static const adamra_model_params defaults;
    struct logger *log = &context->log;
    const adamra_type type = params ? params->type : defaults.type;
    EXPECT(type == ADAMRA_F32 || type == ADAMRA_F16,
           "type: expected ADAMRA_F32 or ADAMRA_F16, got %d", (int)type);
    const enum element_type storage = type == ADAMRA_F16 ? ELEMENT_F16 : ELEMENT_F32;
    status result = gpu_device_check(context->device);
    if (result)
        return result;
    struct adamra_model *model = calloc(1, sizeof(*model));
    if (!model)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for a model",
                    source->folder ? source->folder : "config.json");
    model->context = context;
    model->slice_bytes = SLICE_BYTES;
    result = source->folder ? load_folder(model, source->folder, storage)
                            : load_memory(model, source, storage);
    if (result == STATUS_OK)
        *out = model;
    else
        adamra_model_destroy(model);
    return result;
}

adamra_status adamra_model_load(adamra_context *context, const char *folder,
                                const adamra_model_params *params, adamra_model **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    if (!folder || !*folder)
        return context_status(fail(&context->log, STATUS_INVALID_ARGUMENT,
                                   "folder: expected a path, got %s",
                                   folder ? "an empty one" : "NULL"));
    const struct model_source source = {.folder = folder};
    return context_status(load(context, &source, params, out));
}

adamra_status adamra_model_load_memory(adamra_context *context, const void *config,
                                       size_t config_bytes, const void *weights,
                                       size_t weights_bytes, const adamra_model_params *params,
                                       adamra_model **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    if (!config)
        return context_fail_null(context, "config");
    if (!weights)
        return context_fail_null(context, "weights");
    const struct model_source source = {.config = config,
                                        .config_bytes = config_bytes,
                                        .weights = weights,
                                        .weights_bytes = weights_bytes};
    return context_status(load(context, &source, params, out));
}

adamra_status adamra_model_get_info(const adamra_model *model, adamra_model_info *info)
{
    if (!model)
        return ADAMRA_INVALID_ARGUMENT;
    if (!info)
        return context_fail_null(model->context, "info");
    const struct model_config *config = &model->config;
    *info = (adamra_model_info){.bytes_tokenizer = config->bytes_tokenizer,
                                .vocab_size = config->vocab_size,
                                .pad_token_id = config->pad_token_id,
                                .max_tokens = config->max_position_embeddings,
                                .hidden_size = config->hidden_size,
                                .layers = config->num_hidden_layers,
                                .num_labels = config->num_labels,
                                .attention = config->attention->name,
                                .labels = config->labels,
                                .weight_bytes = model->weights.bytes};
    return ADAMRA_OK;
}

/* ---- the model ---- */

void adamra_model_destroy(adamra_model *model)
{
    if (!model)
        return;
    model_plans_finish(model);
    weights_finish(&model->weights);
    config_finish(&model->config);
    free(model);
}

void adamra_model_slice(adamra_model *model, uint64_t bytes)
{
    model->slice_bytes = bytes;
}

/* ---- running ---- */

static status check_row(const struct adamra_model *model, const struct model_batch *batch,
                        uint32_t row)
{
    struct logger *log = &model->context->log;
    uint32_t length = row_length(batch, row), vocabulary = model->config.vocab_size;
    if (length > batch->n)
        return fail(log, STATUS_INVALID_ARGUMENT, "lengths: row %u has %u: expected at most n = %u",
                    row, length, batch->n);
    for (uint32_t i = 0; i < length; i++) {
        int32_t token = batch->tokens[(size_t)row * batch->n + i];
        if (token < 0 || (uint32_t)token >= vocabulary)
            return fail(log, STATUS_INVALID_ARGUMENT,
                        "tokens: row %u, position %u is %" PRId32
                        ": expected 0 <= token < %u (vocab_size)",
                        row, i, token, vocabulary);
    }
    return STATUS_OK;
}

static status check_batch(const struct adamra_model *model, const struct model_batch *batch)
{
    struct logger *log = &model->context->log;
    if (batch->n > model->config.max_position_embeddings)
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "n is %u: expected at most %u (max_position_embeddings)", batch->n,
                    model->config.max_position_embeddings);
    if (batch->count && !batch->logits)
        return fail(log, STATUS_INVALID_ARGUMENT, "logits: expected a pointer, got NULL");
    if (batch->count && batch->n && !batch->tokens)
        return fail(log, STATUS_INVALID_ARGUMENT, "tokens: expected a pointer, got NULL");
    for (uint32_t row = 0; row < batch->count; row++) {
        status result = check_row(model, batch, row);
        if (result != STATUS_OK)
            return result;
    }
    return STATUS_OK;
}

/* Padding is written as a legal token: what the caller has there does not matter. slot->n is 1
 * where the batch's n is 0. */
static status upload(const struct adamra_model *model, const struct model_batch *batch,
                     struct model_plan *slot)
{
    uint32_t *tokens = (uint32_t *)slot->tokens->mapped;
    uint32_t *lengths = (uint32_t *)slot->lengths->mapped;
    uint32_t pad =
        model->config.pad_token_id < model->config.vocab_size ? model->config.pad_token_id : 0;
    for (uint32_t row = 0; row < batch->count; row++) {
        lengths[row] = row_length(batch, row);
        for (uint32_t i = 0; i < slot->n; i++) {
            size_t at = (size_t)row * slot->n + i;
            tokens[at] = i < lengths[row] ? (uint32_t)batch->tokens[at] : pad;
        }
    }
    status result = gpu_buffer_flush(slot->tokens, 0, slot->tokens->size);
    if (result != STATUS_OK)
        return result;
    return gpu_buffer_flush(slot->lengths, 0, slot->lengths->size);
}

static status download(const struct adamra_model *model, const struct model_batch *batch,
                       struct model_plan *slot)
{
    status result = gpu_buffer_invalidate(slot->logits, 0, slot->logits->size);
    if (result != STATUS_OK)
        return result;
    const float *rows = (const float *)slot->logits->mapped;
    uint32_t labels = model->config.num_labels;
    size_t stride = (size_t)model->weights.classifier_out.n4 * 4;
    for (uint32_t row = 0; row < batch->count; row++)
        memcpy(batch->logits + (size_t)row * labels, rows + row * stride, labels * sizeof(*rows));
    return STATUS_OK;
}

static void add_timing(const struct adamra_model *model, const struct model_plan *slot,
                       double device_ms, adamra_timing *timing)
{
    uint64_t input = slot->tokens->size + slot->lengths->size + model->weights.bytes;
    if (device_ms < 0 || timing->device_ms < 0)
        timing->device_ms = -1;
    else
        timing->device_ms += device_ms;
    timing->submissions += gpu_commands_submissions(plan_commands(slot->plan));
    timing->operations += slot->operations;
    timing->bytes += slot->bytes;
    timing->input_bytes = size_max(timing->input_bytes, input);
    timing->output_bytes = size_max(timing->output_bytes, slot->logits->size);
    timing->extra_bytes = size_max(timing->extra_bytes, plan_scratch_bytes(slot->plan));
}

static status run_slice(struct adamra_model *model, const struct model_batch *slice,
                        struct model_plan *slot, adamra_timing *timing)
{
    double device_ms = -1;
    status result = upload(model, slice, slot);
    if (result == STATUS_OK)
        result = plan_run(slot->plan, &device_ms);
    if (result == STATUS_OK)
        result = download(model, slice, slot);
    if (result == STATUS_OK)
        add_timing(model, slot, device_ms, timing);
    return result;
}

/* Rows [first, first + rows) of a batch, or those that it has. */
static struct model_batch slice_of(const struct adamra_model *model, const struct model_batch *all,
                                   uint32_t first, uint32_t rows)
{
    const size_t labels = model->config.num_labels;
    return (struct model_batch){.tokens = all->n ? all->tokens + (size_t)first * all->n : NULL,
                                .lengths = all->lengths ? all->lengths + first : NULL,
                                .count = (uint32_t)size_min(rows, all->count - first),
                                .n = all->n,
                                .logits = all->logits + first * labels};
}

static status run_slices(struct adamra_model *model, const struct model_batch *all,
                         adamra_timing *timing)
{
    struct gpu_device *device = model->context->device;
    /* A row without tokens runs as one of padding, whose mean is zero too. */
    const uint32_t n = all->n ? all->n : 1;
    const uint64_t row_bytes = encoder_row_bytes(&model->config, &model->weights, n);
    uint32_t rows = (uint32_t)size_min(UINT32_MAX, size_max(1, model->slice_bytes / row_bytes));
    for (uint32_t first = 0; first < all->count;) {
        const struct model_batch slice = slice_of(model, all, first, rows);
        struct model_plan *slot = NULL;
        status result = model_plan_find(model, slice.count, n, &slot);
        if (result == STATUS_OUT_OF_DEVICE_MEMORY && slice.count > 1) {
            rows = slice.count / 2;
            continue;
        }
        device->progress_from = (double)first / all->count;
        first += slice.count;
        device->progress_to = (double)first / all->count;
        if (result == STATUS_OK)
            result = run_slice(model, &slice, slot, timing);
        if (result == STATUS_OK && first < all->count)
            result = gpu_progress(device, 1);
        if (result != STATUS_OK)
            return result;
    }
    return STATUS_OK;
}

adamra_status adamra_model_run(adamra_model *model, const int32_t *tokens, uint32_t batch,
                               uint32_t n, const uint32_t *lengths, float *logits,
                               adamra_timing *timing)
{
    if (!model)
        return ADAMRA_INVALID_ARGUMENT;
    struct model_batch all = {
        .tokens = tokens, .lengths = lengths, .count = batch, .n = n, .logits = logits};
    struct gpu_device *device = model->context->device;
    adamra_timing total = {0};
    double start = context_clock_ms();
    status result = context_enter(model->context);
    if (result)
        return context_status(result);
    result = gpu_device_check(device);
    if (!result)
        result = check_batch(model, &all);
    if (!result)
        result = run_slices(model, &all, &total);
    context_leave(model->context);
    device->progress_from = 0;
    device->progress_to = 1;
    if (result == STATUS_OK)
        gpu_pipelines_keep(device);
    total.host_ms = context_clock_ms() - start;
    if (result == STATUS_OK && timing)
        *timing = total;
    return context_status(result);
}
