/* The layer pass: X [B, n, d_model] to its attention output: projections, router from weights,
 * attention, output projection. The weights are random. */
#include "attention_form.h"
#include "bench_check.h"
#include "bench_layer.h"
#include "model/steps.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_ALIGN   256 /* bytes; no device asks more of a binding's offset */
#define WEIGHT_SHIFT   100003
#define BIAS_SCALE     0.1
#define CHECK_PRODUCTS (UINT64_C(1) << 32) /* multiply-adds that a check's projections may take */
#define CHECK_ROWS     2

/* ---- weights ---- */

static void place(struct weights *weights, struct weight *weight, enum element_type type,
                  uint64_t elements)
{
    *weight = (struct weight){.type = type, .offset = weights->bytes, .elements = elements};
    weights->bytes += size_round_up(weight_bytes(weight), WEIGHT_ALIGN);
}

static void place_linear(struct weights *weights, struct linear_weights *linear, uint64_t k4,
                         uint64_t n4)
{
    linear->k4 = (uint32_t)k4;
    linear->n4 = (uint32_t)n4;
    place(weights, &linear->weight, weights->type, k4 * 4 * n4 * 4);
    place(weights, &linear->bias, ELEMENT_F32, n4 * 4);
}

static void place_all(struct layer *layer)
{
    const struct model_config *config = &layer->config;
    struct weights *weights = &layer->weights;
    const struct projections *projections = &weights->projections;
    uint64_t d4 = size_div_up(config->hidden_size, 4);
    uint64_t routes = (uint64_t)config->num_groups * config->heads;
    layer->layer.products = layer->products;
    for (uint32_t i = 0; i < projections->count; i++) {
        place_linear(weights, &layer->products[i], d4, projections->products[i].n4);
    }
    place(weights, &layer->layer.router_weight, ELEMENT_F32, routes * projections->dk4 * 4);
    place(weights, &layer->layer.router_bias, ELEMENT_F32, routes);
    place_linear(weights, &layer->layer.output, projections->block_columns, d4);
}

static struct tensor host_tensor(const struct weights *weights, const struct weight *weight)
{
    return (struct tensor){
        .type = weight->type, .elements = weight->elements, .host = weights->host + weight->offset};
}

/* Rows of `stride` columns, of which the first `width` of each `block` are numbers. */
static void fill(const struct work *work, const struct weights *weights,
                 const struct weight *weight, uint32_t block, uint32_t width, double scale)
{
    struct tensor tensor = host_tensor(weights, weight);
    for (uint64_t i = 0; i < weight->elements; i++) {
        if (i % block < width) {
            float number =
                numbers_get(work->numbers, ELEMENT_F32, weight->offset + WEIGHT_SHIFT + i);
            tensor_set(&tensor, i, scale * number);
        }
    }
}

static void fill_linear(const struct work *work, const struct layer *layer,
                        const struct linear_weights *linear, uint32_t block, uint32_t width)
{
    double scale = 1 / sqrt(4.0 * linear->k4);
    fill(work, &layer->weights, &linear->weight, block, width, scale);
    fill(work, &layer->weights, &linear->bias, block, width, BIAS_SCALE);
}

static void fill_all(const struct work *work, const struct layer *layer)
{
    const struct model_config *config = &layer->config;
    const struct projections *projections = &layer->weights.projections;
    uint32_t head = projections->dk4 * 4, d = config->hidden_size;
    for (uint32_t i = 0; i < projections->count; i++) {
        fill_linear(work, layer, &layer->products[i], head, config->head_dim);
    }
    fill(work, &layer->weights, &layer->layer.router_weight, head, config->head_dim,
         1 / sqrt(config->head_dim));
    fill(work, &layer->weights, &layer->layer.router_bias, 1, 1, BIAS_SCALE);
    fill_linear(work, layer, &layer->layer.output, layer->layer.output.n4 * 4, d);
}

static status make_weights(struct work *work, struct layer *layer)
{
    struct weights *weights = &layer->weights;
    weights->type = work->spec.type;
    projections_init(&weights->projections, &layer->config);
    place_all(layer);
    weights->host = calloc(1, weights->bytes);
    if (!weights->host) {
        return fail(work->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for weights");
    }
    fill_all(work, layer);
    status result =
        gpu_buffer_create(work->device, weights->bytes, GPU_MEMORY_DEVICE, &weights->buffer);
    if (result == STATUS_OK) {
        result = gpu_buffer_write(weights->buffer, 0, weights->host, weights->bytes);
    }
    work->weight_bytes = weights->bytes;
    return result;
}

/* ---- graph ---- */

/* What is computed, and the operations of its core, as the public function sees them. */
static status init_form(struct work *work, struct layer *layer)
{
    adamra_attention_params params = work_attention(&work->spec);
    params.router = ADAMRA_ROUTER_WEIGHT;
    return attention_form_init(work->device->log, &params, &layer->form);
}

static void init_config(const struct work_spec *spec, struct layer *layer)
{
    struct model_config *config = &layer->config;
    *config = (struct model_config){
        .hidden_size = spec->d_model,
        .attention = spec->kind,
        .num_groups = spec->groups,
        .head_dim = spec->d,
        .heads = layer->form.shape.heads,
        .feature = layer->form.shape.feature,
        .routing = layer->form.shape.routing,
        .pooling = layer->form.shape.pooling,
        .bigbird = layer->form.shape.bigbird,
    };
    memcpy(config->rates, layer->form.shape.rates, sizeof(config->rates));
}

/* The sum of the products, over pooled rows, and of the core; all but activations moves once. */
static void count_cost(struct work *work, const struct layer *layer)
{
    const struct work_spec *spec = &work->spec;
    const struct projections *projections = &layer->weights.projections;
    double d_model = spec->d_model, weights = 0;
    work->operations = layer->form.operations;
    for (uint32_t i = 0; i < projections->count; i++) {
        double rows =
            (double)spec->batch * (double)size_div_up(spec->n, projections->products[i].rate);
        double columns = (double)projections->products[i].n4 / projections->dk4 * spec->d;
        work->operations += 2 * rows * d_model * columns;
        weights += (d_model + 1) * columns;
    }
    double rows = (double)spec->batch * spec->n, inner = (double)spec->groups * spec->d;
    work->operations += 2 * rows * inner * d_model;
    weights += (inner + 1) * d_model;
    work->bytes = (2 * rows * d_model + weights) * element_bytes(spec->type);
}

static status build_graph(struct work *work, struct layer *layer)
{
    const struct work_spec *spec = &work->spec;
    struct encoder encoder = {0};
    struct builder builder = {.config = &layer->config,
                              .weights = &layer->weights,
                              .encoder = &encoder,
                              .batch = spec->batch,
                              .n = spec->n,
                              .rows = spec->batch * spec->n};
    uint32_t d4 = (uint32_t)size_div_up(spec->d_model, 4);
    graph_init(&encoder.graph);
    encoder.lengths =
        graph_add_tensor(&encoder.graph, "lengths", ELEMENT_U32, spec->batch, GRAPH_BOUND);
    struct rows x = add_spread(&builder, "x", builder.rows, d4, GRAPH_BOUND);
    struct rows y = add_spread(&builder, "y", builder.rows, d4, GRAPH_BOUND);
    step_attention(&builder, &layer->layer, x, y, LINEAR_PLAIN);
    reserve_bindings(&builder, encoder.graph.tensor_count);
    layer->x = x.tensor;
    layer->y = y.tensor;
    work->graph = encoder.graph;
    work->bindings = encoder.bindings;
    work_add_rows(work, x.tensor, WORK_INPUT, spec->type, builder.rows, spec->d_model, x.row * 4);
    work_add_rows(work, y.tensor, WORK_OUTPUT, spec->type, builder.rows, spec->d_model, y.row * 4);
    work_add_words(work, encoder.lengths, spec->batch, FILL_COUNT, spec->n);
    status result = builder.state ? builder.state : graph_status(&work->graph);
    return result == STATUS_OK
               ? STATUS_OK
               : fail(work->device->log, result, "bench: no memory for the graph of a layer");
}

static status build(struct work *work)
{
    struct logger *log = work->device->log;
    struct layer *layer = work->state = calloc(1, sizeof(*layer));
    if (!layer) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a layer");
    }
    status result = init_form(work, layer);
    if (result != STATUS_OK) {
        return result;
    }
    init_config(&work->spec, layer);
    uint32_t quads = (uint32_t)size_div_up(work->spec.d_model, 4);
    if ((uint64_t)work->spec.batch * work->spec.n >
        UINT32_MAX / spread_row(work->spec.type, quads)) {
        return fail(log, STATUS_OUT_OF_DEVICE_MEMORY, "X: expected less than 2^32 quads");
    }
    result = make_weights(work, layer);
    if (result != STATUS_OK) {
        return result;
    }
    count_cost(work, layer);
    return build_graph(work, layer);
}

static void finish(struct work *work)
{
    struct layer *layer = work->state;
    if (layer) {
        weights_finish(&layer->weights);
    }
    free(layer);
}

static uint32_t check_length(const struct work_spec *spec)
{
    uint64_t row = (uint64_t)spec->groups * spec->d_model * spec->d * CHECK_ROWS;
    return (uint32_t)size_min(spec->n, size_max(256, CHECK_PRODUCTS / size_max(1, row)));
}

const struct work_pass work_layer = {build, layer_check, check_length, finish};
