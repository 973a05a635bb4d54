/* The encoder pass: token ids [B, n] to logits, with a model folder. */
#include "base/file.h"
#include "bench_encoder.h"
#include <stdlib.h>
#include <string.h>

#define CHECK_TOKENS 512 /* of all batch rows: the reference loops are slow */

struct ids {
    tensor_id tokens, lengths, logits;
};

/* ---- models ---- */

static status load(struct logger *log, struct gpu_device *device, const char *folder,
                   enum element_type type, struct bench_model *model)
{
    char *config = file_join(folder, "config.json");
    char *weights = file_join(folder, "model.safetensors");
    status result = STATUS_OK;
    if (!config || !weights) {
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: --model: no memory for a path");
    }
    if (result == STATUS_OK) {
        result = config_open(log, config, &model->config);
    }
    if (result == STATUS_OK) {
        result = weights_load(log, device, &model->config, weights, type, &model->weights);
    }
    if (result == STATUS_OK) {
        result = weights_load(log, NULL, &model->config, weights, type, &model->reference);
    }
    model->rates.count = model->config.heads;
    memcpy(model->rates.items, model->config.rates, sizeof(model->rates.items));
    free(config);
    free(weights);
    return result;
}

status bench_model_load(struct logger *log, struct gpu_device *device, const char *folder,
                        enum element_type type, struct bench_model **out)
{
    struct bench_model *model = *out = calloc(1, sizeof(*model));
    if (!model) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a model");
    }
    status result = load(log, device, folder, type, model);
    if (result != STATUS_OK) {
        bench_model_destroy(model);
        *out = NULL;
    }
    return result;
}

void bench_model_destroy(struct bench_model *model)
{
    if (!model) {
        return;
    }
    weights_finish(&model->weights);
    weights_finish(&model->reference);
    config_finish(&model->config);
    free(model);
}

/* ---- pass ---- */

static status build(struct work *work)
{
    const struct work_spec *spec = &work->spec;
    const struct model_config *config = &spec->model->config;
    const struct weights *weights = &spec->model->weights;
    struct logger *log = work->device->log;
    struct encoder encoder;
    double operations, bytes;
    if (spec->n > config->max_position_embeddings) {
        return fail(log, STATUS_UNSUPPORTED, "the model takes at most %u tokens",
                    config->max_position_embeddings);
    }
    struct ids *ids = work->state = malloc(sizeof(*ids));
    if (!ids) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for an encoder");
    }
    status result = encoder_build(log, config, weights, spec->batch, spec->n, false, &encoder);
    if (result != STATUS_OK) {
        return result;
    }
    encoder_cost(&encoder, &operations, &bytes);
    work->graph = encoder.graph;
    work->bindings = encoder.bindings;
    *ids = (struct ids){encoder.tokens, encoder.lengths, encoder.logits};
    uint64_t tokens = (uint64_t)spec->batch * spec->n;
    work_add_words(work, ids->tokens, tokens, FILL_TOKENS, config->vocab_size);
    work_add_words(work, ids->lengths, spec->batch, FILL_COUNT, spec->n);
    work_add_rows(work, ids->logits, WORK_OUTPUT, ELEMENT_F32, spec->batch, config->num_labels,
                  weights->classifier_out.n4 * 4);
    work->weight_bytes = weights->bytes;
    work->operations = operations;
    work->bytes = (double)(work_input_bytes(work) + work_output_bytes(work));
    return STATUS_OK;
}

/* Runs the reference loops on what set 0 read. logits [batch, stride], tokens [batch, n]. */
static status run_reference(struct work *work, uint32_t *tokens, uint32_t *lengths, float *logits)
{
    const struct work_spec *spec = &work->spec;
    const struct bench_model *model = spec->model;
    const struct ids *ids = work->state;
    struct logger *log = work->device->log;
    struct encoder encoder;
    status result = work_read_words(work, ids->tokens, tokens);
    if (result == STATUS_OK) {
        result = work_read_words(work, ids->lengths, lengths);
    }
    if (result == STATUS_OK) {
        result = encoder_build(log, &model->config, &model->reference, spec->batch, spec->n, false,
                               &encoder);
    }
    if (result != STATUS_OK) {
        return result;
    }
    encoder.bindings[encoder.tokens].host = tokens;
    encoder.bindings[encoder.lengths].host = lengths;
    encoder.bindings[encoder.logits].host = logits;
    result = plan_run_reference(log, &encoder.graph, encoder.bindings);
    encoder_finish(&encoder);
    return result;
}

static status check(struct work *work, struct work_error *error)
{
    const struct work_spec *spec = &work->spec;
    const struct ids *ids = work->state;
    uint32_t labels = spec->model->config.num_labels;
    uint32_t stride = spec->model->weights.classifier_out.n4 * 4;
    uint64_t words = (uint64_t)spec->batch * ((uint64_t)spec->n + 1 + stride);
    uint32_t *tokens = calloc(words, sizeof(*tokens));
    double *row = calloc(2 * (size_t)labels, sizeof(*row));
    status result = STATUS_OUT_OF_HOST_MEMORY;
    if (!tokens || !row) {
        fail(work->device->log, result, "bench: no memory for a check");
        goto error;
    }
    uint32_t *lengths = tokens + (uint64_t)spec->batch * spec->n;
    float *logits = (float *)(lengths + spec->batch);
    result = run_reference(work, tokens, lengths, logits);
    for (uint32_t b = 0; b < spec->batch && result == STATUS_OK; b++) {
        result = work_read_row(work, ids->logits, b, row);
        for (uint32_t i = 0; i < labels; i++) {
            row[labels + i] = (double)logits[(size_t)b * stride + i];
        }
        work_compare(error, row, row + labels, labels);
    }
error:
    free(tokens);
    free(row);
    return result;
}

static uint32_t check_length(const struct work_spec *spec)
{
    return (uint32_t)size_min(spec->n, size_max(1, CHECK_TOKENS / spec->batch));
}

static void finish(struct work *work)
{
    free(work->state);
}

const struct work_pass work_encoder = {build, check, check_length, finish};
