/* The attention of a layer: projections, the kind's ops, output projection. */
#include "model/steps.h"

#define ATTENTION_EPS 1e-6f /* of the normaliser; the specification's */

/* A head's blocks of columns within a product's rows. */
static struct attn_layout columns_layout(const struct builder *builder, struct rows rows,
                                         uint32_t column)
{
    return (struct attn_layout){.start = column,
                                .batch = (uint64_t)(rows.count / builder->batch) * rows.row,
                                .group = builder->weights->projections.dk4,
                                .row = rows.row};
}

static struct attn_shape attention_shape(const struct builder *builder)
{
    const struct model_config *config = builder->config;
    struct attn_shape shape = {.batch = builder->batch,
                               .groups = config->num_groups,
                               .heads = config->heads,
                               .n = builder->n,
                               .m = builder->n,
                               .dk = config->head_dim,
                               .dv = config->head_dim,
                               .rates = {1},
                               .routing = ROUTING_NONE,
                               .feature = config->feature,
                               .pooling = config->pooling,
                               .router = ROUTER_WEIGHT,
                               .bigbird = config->bigbird,
                               .eps = ATTENTION_EPS,
                               .type = builder->weights->type};
    if (config->attention->multires) {
        shape.routing = config->routing;
        for (uint32_t h = 0; h < config->heads; h++)
            shape.rates[h] = config->rates[h];
    }
    return shape;
}

/* Queries, keys and values of all heads from the rows x: *products gets the rows of each. */
static void project(struct builder *builder, const struct layer_weights *layer, struct rows x,
                    struct rows *products)
{
    const struct projections *projections = &builder->weights->projections;
    uint32_t rates[ATTN_MAX_HEADS];
    struct rows sources[ATTN_MAX_HEADS + 1] = {x}; /* the first product reads the sequence */
    for (uint32_t i = 1; i < projections->count; i++)
        rates[i - 1] = projections->products[i].rate;
    step_pool(builder, x, rates, projections->count - 1, &sources[1]);
    for (uint32_t i = 0; i < projections->count; i++) {
        products[i] =
            add_scratch(builder, "projected", sources[i].count, projections->products[i].n4);
        step_linear(builder, &layer->products[i], sources[i], products[i], LINEAR_PLAIN);
    }
}

void step_attention(struct builder *builder, const struct layer_weights *layer, struct rows x,
                    struct rows out, uint32_t flags)
{
    const struct projections *projections = &builder->weights->projections;
    const struct attn_kind *kind = builder->config->attention;
    struct attn_shape shape = attention_shape(builder);
    struct rows products[ATTN_MAX_HEADS + 1];
    project(builder, layer, x, products);
    struct rows y = add_scratch(builder, "attended", builder->rows, projections->block_columns);
    struct attn_io io = {.q = products[0].tensor,
                         .y = y.tensor,
                         .q_layout = columns_layout(builder, products[0], 0),
                         .y_layout = columns_layout(builder, y, 0),
                         .key_lengths = builder->lengths,
                         .query_lengths = builder->lengths,
                         .router_logits = NO_TENSOR,
                         .router_weight = NO_TENSOR,
                         .router_bias = NO_TENSOR,
                         .router_head = NO_TENSOR,
                         .router_prob = NO_TENSOR};
    for (uint32_t h = 0; h < builder->config->heads; h++) {
        const struct head_columns *head = &projections->heads[h];
        struct rows rows = products[head->product];
        bool pooled = projections->products[head->product].rate > 1;
        io.k[h] = (struct attn_source){.tensor = rows.tensor,
                                       .layout = columns_layout(builder, rows, head->key),
                                       .pooled = pooled};
        io.v[h] = (struct attn_source){.tensor = rows.tensor,
                                       .layout = columns_layout(builder, rows, head->value),
                                       .pooled = pooled};
    }
    if (kind->multires) {
        io.router_weight = add_weight(builder, "router.weight", &layer->router_weight);
        io.router_bias = add_weight(builder, "router.bias", &layer->router_bias);
    }
    if (builder->state == STATUS_OK)
        builder->state = kind->build(&builder->encoder->graph, &shape, &io);
    step_linear(builder, &layer->output, y, out, flags);
}
