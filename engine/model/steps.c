#include "model/steps.h"
#include <stdlib.h>

/* ---- tensors ---- */

struct rows add_rows(struct builder *builder, const char *name, enum element_type type,
                     uint32_t count, uint32_t quads, enum graph_role role)
{
    uint64_t elements = (uint64_t)count * quads * 4;
    struct graph *graph = &builder->encoder->graph;
    return (struct rows){.tensor = graph_add_tensor(graph, name, type, elements, role),
                         .count = count,
                         .quads = quads,
                         .row = quads};
}

uint32_t spread_row(enum element_type type, uint32_t quads)
{
    const uint32_t bytes = 4 * element_bytes(type); /* of a quad */
    return (uint64_t)quads * bytes % 1024 ? quads : quads + 128 / bytes;
}

struct rows add_spread(struct builder *builder, const char *name, uint32_t count, uint32_t quads,
                       enum graph_role role)
{
    const enum element_type type = builder->weights->type;
    struct rows rows = add_rows(builder, name, type, count, spread_row(type, quads), role);
    rows.quads = quads;
    return rows;
}

struct rows add_scratch(struct builder *builder, const char *name, uint32_t count, uint32_t quads)
{
    return add_spread(builder, name, count, quads, GRAPH_SCRATCH);
}

bool reserve_bindings(struct builder *builder, uint32_t count)
{
    if (count <= builder->binding_space)
        return true;
    uint32_t space = count * 2;
    struct plan_binding *grown = realloc(builder->encoder->bindings, space * sizeof(*grown));
    if (!grown) {
        builder->state = STATUS_OUT_OF_HOST_MEMORY;
        return false;
    }
    for (uint32_t i = builder->binding_space; i < space; i++)
        grown[i] = (struct plan_binding){0};
    builder->encoder->bindings = grown;
    builder->binding_space = space;
    return true;
}

tensor_id add_weight(struct builder *builder, const char *name, const struct weight *weight)
{
    const struct weights *weights = builder->weights;
    tensor_id id = graph_add_tensor(&builder->encoder->graph, name, weight->type, weight->elements,
                                    GRAPH_BOUND);
    if (id != NO_TENSOR && reserve_bindings(builder, id + 1))
        builder->encoder->bindings[id] =
            (struct plan_binding){.buffer = weights->buffer,
                                  .offset = weights->buffer ? weight->offset : 0,
                                  .host = weights->host ? weights->host + weight->offset : NULL};
    return id;
}

/* ---- steps ---- */

struct rows step_embed(struct builder *builder)
{
    const struct weights *weights = builder->weights;
    uint32_t d4 = (builder->config->hidden_size + 3) / 4;
    struct rows x = add_scratch(builder, "x", builder->rows, d4);
    tensor_id tokens = add_weight(builder, "token_embedding", &weights->token_table);
    tensor_id positions = add_weight(builder, "position_embedding", &weights->position_table);
    struct graph_call *call = graph_add_call(&builder->encoder->graph, &op_embed);
    call->params.embed = (struct embed_params){.rows = builder->rows,
                                               .n = builder->n,
                                               .quads = d4,
                                               .vocabulary = builder->config->vocab_size,
                                               .table_row = d4,
                                               .position_row = d4,
                                               .x_row = x.row};
    call->tensors[EMBED_TOKENS] = builder->encoder->tokens;
    call->tensors[EMBED_TABLE] = tokens;
    call->tensors[EMBED_POSITIONS] = positions;
    call->tensors[EMBED_X] = x.tensor;
    return x;
}

static struct graph_call *add_norm(struct builder *builder, struct rows x, tensor_id y,
                                   uint32_t y_row)
{
    struct graph_call *call = graph_add_call(&builder->encoder->graph, &op_norm);
    call->params.norm = (struct norm_params){.rows = x.count,
                                             .columns = builder->config->hidden_size,
                                             .x_row = x.row,
                                             .y_row = y_row,
                                             .eps = builder->config->layer_norm_eps};
    call->tensors[NORM_X] = x.tensor;
    call->tensors[NORM_Y] = y;
    return call;
}

struct rows step_moments(struct builder *builder, struct rows x)
{
    x.normed = true;
    x.moments = add_rows(builder, "moments", ELEMENT_F32, x.count, 1, GRAPH_SCRATCH).tensor;
    add_norm(builder, x, x.moments, 1)->options[OPTION_MOMENTS] = 1;
    return x;
}

struct rows step_norm(struct builder *builder, const struct norm_weights *weights, struct rows x)
{
    struct rows y = add_scratch(builder, "normed", x.count, x.quads);
    tensor_id scale = add_weight(builder, "norm.weight", &weights->scale);
    tensor_id bias = add_weight(builder, "norm.bias", &weights->bias);
    struct graph_call *call = add_norm(builder, x, y.tensor, y.row);
    call->tensors[NORM_WEIGHT] = scale;
    call->tensors[NORM_BIAS] = bias;
    return y;
}

void step_linear(struct builder *builder, const struct linear_weights *weights, struct rows a,
                 struct rows c, uint32_t flags)
{
    tensor_id weight = add_weight(builder, "linear.weight", &weights->weight);
    tensor_id bias = add_weight(builder, "linear.bias", &weights->bias);
    struct graph_call *call = graph_add_call(&builder->encoder->graph, &op_linear);
    call->params.linear = (struct linear_params){.rows = a.count,
                                                 .k4 = weights->k4,
                                                 .n4 = weights->n4,
                                                 .a_row = a.row,
                                                 .w_row = weights->n4,
                                                 .c_row = c.row};
    call->options[OPTION_BIAS] = 1;
    call->options[OPTION_GELU] = flags & LINEAR_GELU ? 1 : 0;
    call->options[OPTION_RESIDUAL] = flags & LINEAR_ADD ? 1 : 0;
    call->options[OPTION_NORMED] = a.normed ? 1 : 0;
    if (a.normed)
        call->tensors[LINEAR_MOMENTS] = a.moments;
    call->tensors[LINEAR_A] = a.tensor;
    call->tensors[LINEAR_W] = weight;
    call->tensors[LINEAR_BIAS] = bias;
    call->tensors[LINEAR_RESIDUAL] = flags & LINEAR_ADD ? c.tensor : NO_TENSOR;
    call->tensors[LINEAR_C] = c.tensor;
}

/* Where segments of many rates before it are made with them, the last of a call makes few. */
#define MAX_POOL_RATIO 16

/* How many of the rates, from the first on, one call can pool. */
static uint32_t pool_levels(const uint32_t *rates, uint32_t count)
{
    uint32_t levels = 1;
    while (levels < size_min(count, POOL_LEVELS) && rates[levels] % rates[levels - 1] == 0 &&
           rates[levels] / rates[0] <= MAX_POOL_RATIO)
        levels++;
    return levels;
}

static struct graph_call *add_pool(struct builder *builder, struct rows x, const uint32_t *rates,
                                   uint32_t levels, const struct rows *pooled)
{
    struct pool_params params = {.batch = builder->batch,
                                 .quads = x.quads,
                                 .rows = builder->n,
                                 .x_batch = builder->n * x.row,
                                 .x_row = x.row,
                                 .y_row = pooled[0].row,
                                 .m_batch = builder->n,
                                 .columns = builder->config->hidden_size};
    for (uint32_t level = 0; level < levels; level++) {
        uint32_t segments = (uint32_t)size_div_up(builder->n, rates[level]);
        params.rates[level] = rates[level];
        params.segments[level] = segments;
        params.y_batch[level] = segments * pooled[level].row;
    }
    struct graph_call *call = graph_add_call(&builder->encoder->graph, &op_pool);
    call->params.pool = params;
    call->options[OPTION_POOLING] = POOLING_MEAN;
    call->options[OPTION_LEVELS] = levels;
    call->options[OPTION_NORMED] = x.normed ? 1 : 0;
    if (x.normed)
        call->tensors[POOL_MOMENTS] = x.moments;
    call->tensors[POOL_X] = x.tensor;
    call->tensors[POOL_LENGTHS] = builder->lengths;
    for (uint32_t level = 0; level < levels; level++)
        call->tensors[POOL_Y + level] = pooled[level].tensor;
    return call;
}

void step_pool(struct builder *builder, struct rows x, const uint32_t *rates, uint32_t count,
               struct rows *pooled)
{
    for (uint32_t done = 0; done < count;) {
        uint32_t levels = pool_levels(&rates[done], count - done);
        for (uint32_t i = done; i < done + levels; i++)
            pooled[i] =
                add_scratch(builder, "pooled",
                            builder->batch * (uint32_t)size_div_up(builder->n, rates[i]), x.quads);
        add_pool(builder, x, &rates[done], levels, &pooled[done]);
        done += levels;
    }
}

struct rows step_mean(struct builder *builder, struct rows x)
{
    struct rows y = add_rows(builder, "mean", ELEMENT_F32, builder->batch, x.quads, GRAPH_SCRATCH);
    add_pool(builder, x, &builder->n, 1, &y)->options[OPTION_LONG] = 1;
    return y;
}
