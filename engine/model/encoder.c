#include "model/encoder.h"
#include "model/steps.h"
#include <stdlib.h>

/* ---- the model ---- */

static void feed_forward(struct builder *builder, const struct layer_weights *layer, struct rows x)
{
    struct rows hidden = add_scratch(builder, "hidden", builder->rows, layer->ffn_in.n4);
    step_linear(builder, &layer->ffn_in, step_moments(builder, x), hidden, LINEAR_GELU);
    step_linear(builder, &layer->ffn_out, hidden, x, LINEAR_ADD);
}

static void classify(struct builder *builder, struct rows pooled)
{
    const struct weights *weights = builder->weights;
    struct rows hidden = add_rows(builder, "classifier_hidden", ELEMENT_F32, builder->batch,
                                  weights->classifier_in.n4, GRAPH_SCRATCH);
    struct rows logits = {.tensor = builder->encoder->logits,
                          .count = builder->batch,
                          .quads = weights->classifier_out.n4,
                          .row = weights->classifier_out.n4};
    step_linear(builder, &weights->classifier_in, pooled, hidden, LINEAR_GELU);
    step_linear(builder, &weights->classifier_out, hidden, logits, LINEAR_PLAIN);
}

static void forward(struct builder *builder)
{
    const struct weights *weights = builder->weights;
    struct rows x = step_embed(builder);
    for (uint32_t i = 0; i < builder->config->num_hidden_layers; i++) {
        const struct layer_weights *layer = &weights->layers[i];
        step_attention(builder, layer, step_moments(builder, x), x, LINEAR_ADD);
        feed_forward(builder, layer, x);
    }
    classify(builder, step_mean(builder, step_norm(builder, &weights->norm, x)));
}

static void add_inputs(struct builder *builder)
{
    struct graph *graph = &builder->encoder->graph;
    struct encoder *encoder = builder->encoder;
    encoder->tokens = graph_add_tensor(graph, "tokens", ELEMENT_U32, builder->rows, GRAPH_BOUND);
    encoder->lengths = graph_add_tensor(graph, "lengths", ELEMENT_U32, builder->batch, GRAPH_BOUND);
    encoder->logits = add_rows(builder, "logits", ELEMENT_F32, builder->batch,
                               builder->weights->classifier_out.n4, GRAPH_BOUND)
                          .tensor;
}

status encoder_build(struct logger *log, const struct model_config *config,
                     const struct weights *weights, uint32_t batch, uint32_t n, bool copied,
                     struct encoder *encoder)
{
    struct builder builder = {.config = config,
                              .weights = weights,
                              .encoder = encoder,
                              .batch = batch,
                              .n = n,
                              .rows = batch * n};
    *encoder = (struct encoder){0};
    graph_init(&encoder->graph);
    if ((uint64_t)batch * n > UINT32_MAX)
        return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                    "batch %u of %u tokens: expected less than 2^32 in all", batch, n);
    add_inputs(&builder);
    builder.lengths =
        copied ? graph_add_copy(&encoder->graph, encoder->lengths) : encoder->lengths;
    forward(&builder);
    status result = builder.state;
    if (result == STATUS_OK)
        result = graph_status(&encoder->graph);
    if (result == STATUS_OK && !reserve_bindings(&builder, encoder->graph.tensor_count))
        result = builder.state;
    if (result == STATUS_OK)
        return STATUS_OK;
    fail(log, result, "batch %u of %u tokens: no host memory for the graph", batch, n);
    encoder_finish(encoder);
    return result;
}

void encoder_finish(struct encoder *encoder)
{
    graph_finish(&encoder->graph);
    free(encoder->bindings);
    *encoder = (struct encoder){0};
}

void encoder_cost(const struct encoder *encoder, double *operations, double *bytes)
{
    const struct graph *graph = &encoder->graph;
    *operations = *bytes = 0;
    for (uint32_t i = 0; i < graph->call_count; i++) {
        struct op_call call = graph_call_shape(graph, &graph->calls[i]);
        double call_operations = 0, call_bytes = 0;
        call.op->cost(&call, &call_operations, &call_bytes);
        *operations += call_operations;
        *bytes += call_bytes;
    }
}

uint64_t encoder_row_bytes(const struct model_config *config, const struct weights *weights,
                           uint32_t n)
{
    const struct projections *projections = &weights->projections;
    const enum element_type type = weights->type;
    uint64_t x = spread_row(type, (config->hidden_size + 3) / 4);
    uint64_t hidden = spread_row(type, (config->intermediate_size + 3) / 4);
    uint64_t attended = spread_row(type, projections->block_columns);
    uint64_t quads = n * (2 * x + attended + hidden); /* x, the last norm's */
    for (uint32_t i = 0; i < projections->count; i++) {
        const struct product *product = &projections->products[i];
        quads += size_div_up(n, product->rate) * (x + spread_row(type, product->n4));
    }
    uint64_t moments = n * 4 * sizeof(float);
    return quads * 4 * element_bytes(weights->type) + moments;
}
