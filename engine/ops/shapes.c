#include "ops/shapes.h"
#include "ops/example.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADS      4   /* of states, a readout and a router */
#define KEYS       512 /* of a softmax */
#define BLOCK      64  /* queries of a sparse one's blocks */
#define RUN        192 /* keys that a block sees, in one run */
#define STRETCH    256 /* keys of a state's stretches */
#define STRETCHES  64  /* that are summed */
#define RATE       2   /* of a pool's first level; doubled for each further one */
#define BATCH      16  /* of means */
#define VOCABULARY 257
#define FULL       (1u << 30) /* a length: kernels clamp it */

static const uint32_t state_rates[HEADS] = {1, 2, 4, 8};

/* ---- calls ---- */

static void fill_linear(const struct op_shape *shape, enum element_type type, uint32_t rows,
                        struct op_call *call)
{
    uint32_t k4 = shape->a / 4, n4 = shape->b / 4;
    call->params.linear = (struct linear_params){
        .rows = rows, .k4 = k4, .n4 = n4, .a_row = k4, .w_row = n4, .c_row = n4};
    call->options[OPTION_BIAS] = 1;
    example_tensor(call, LINEAR_A, type, (uint64_t)rows * shape->a);
    example_tensor(call, LINEAR_W, type, (uint64_t)shape->a * shape->b);
    example_tensor(call, LINEAR_BIAS, type, shape->b);
    example_tensor(call, LINEAR_C, type, (uint64_t)rows * shape->b);
}

/* Heads that read the same rows, where most kernels have a chance: of one head or of heads with
 * rows of their own, it is the same class. */
static void fill_state(const struct op_shape *shape, enum element_type type, uint32_t rows,
                       struct op_call *call)
{
    uint32_t dk4 = shape->a / 4, dv4 = shape->b / 4, stretches = rows / STRETCH;
    uint32_t block = dk4 * 4 * dv4 + dk4;
    call->options[OPTION_HEADS] = 1;
    call->options[OPTION_SHARED] = op_shared_rates(state_rates, HEADS);
    call->params.state = (struct state_params){.batch = 1,
                                               .groups = 1,
                                               .dk = shape->a,
                                               .dv4 = dv4,
                                               .rate = 1,
                                               .divisor = 1,
                                               .stretches = stretches,
                                               .per_stretch = STRETCH,
                                               .k_batch = rows * dk4,
                                               .k_row = dk4,
                                               .v_batch = rows * dv4,
                                               .v_row = dv4,
                                               .p_group = stretches * block,
                                               .keys = rows,
                                               .heads = HEADS};
    example_tensor(call, STATE_K, type, (uint64_t)rows * shape->a);
    example_tensor(call, STATE_V, type, (uint64_t)rows * shape->b);
    example_tensor(call, STATE_LENGTHS, ELEMENT_U32, 1);
    example_tensor(call, STATE_P, ELEMENT_F32, 4 * (uint64_t)HEADS * stretches * block);
    example_tensor(call, STATE_RATES, ELEMENT_U32, HEADS);
}

static void fill_readout(const struct op_shape *shape, enum element_type type, uint32_t rows,
                         struct op_call *call)
{
    uint32_t dk4 = shape->a / 4, dv4 = shape->b / 4, block = dk4 * 4 * dv4 + dk4;
    uint32_t heads = shape->kind == ROUTING_NONE ? HEADS : 1, n = rows / heads;
    call->params.readout = (struct readout_params){.batch = 1,
                                                   .groups = 1,
                                                   .heads = HEADS,
                                                   .n = n,
                                                   .dk4 = dk4,
                                                   .dv4 = dv4,
                                                   .q_batch = rows * dk4,
                                                   .q_head = n * dk4,
                                                   .q_row = dk4,
                                                   .y_batch = rows * dv4,
                                                   .y_head = n * dv4,
                                                   .y_row = dv4,
                                                   .eps = 1e-6f,
                                                   .queries = n};
    call->options[OPTION_ROUTING] = shape->kind;
    call->options[OPTION_FUSED] = shape->kind == ROUTING_TOP1; /* by logits: heads are even */
    example_tensor(call, READOUT_Q, type, (uint64_t)rows * shape->a);
    example_tensor(call, READOUT_S, ELEMENT_F32, 4 * (uint64_t)HEADS * block);
    example_tensor(call, READOUT_LENGTHS, ELEMENT_U32, 1);
    example_tensor(call, READOUT_Y, type, (uint64_t)rows * shape->b);
    if (shape->kind == ROUTING_TOP1)
        example_tensor(call, READOUT_LOGITS, type, (uint64_t)n * HEADS);
    if (shape->kind == ROUTING_SOFT)
        example_tensor(call, READOUT_PROB, ELEMENT_F32, (uint64_t)n * HEADS);
}

static void fill_softmax(const struct op_shape *shape, enum element_type type, uint32_t rows,
                         struct op_call *call)
{
    uint32_t dk4 = shape->a / 4, dv4 = shape->b / 4, keys = shape->kind ? rows : KEYS;
    call->params.softmax = (struct softmax_params){.batch = 1,
                                                   .groups = 1,
                                                   .n = rows,
                                                   .m = keys,
                                                   .dk4 = dk4,
                                                   .dv4 = dv4,
                                                   .q_batch = rows * dk4,
                                                   .q_row = dk4,
                                                   .k_batch = keys * dk4,
                                                   .k_row = dk4,
                                                   .v_batch = keys * dv4,
                                                   .v_row = dv4,
                                                   .scale = 1 / sqrtf((float)shape->a),
                                                   .y_batch = rows * dv4,
                                                   .y_row = dv4,
                                                   .block = shape->kind ? BLOCK : rows};
    call->options[OPTION_SPARSE] = shape->kind;
    example_tensor(call, SOFTMAX_Q, type, (uint64_t)rows * shape->a);
    example_tensor(call, SOFTMAX_K, type, (uint64_t)keys * shape->a);
    example_tensor(call, SOFTMAX_V, type, (uint64_t)keys * shape->b);
    example_tensor(call, SOFTMAX_KEY_LENGTHS, ELEMENT_U32, 1);
    example_tensor(call, SOFTMAX_QUERY_LENGTHS, ELEMENT_U32, 1);
    example_tensor(call, SOFTMAX_Y, type, (uint64_t)rows * shape->b);
    if (shape->kind)
        example_tensor(call, SOFTMAX_RUNS, ELEMENT_U32, 1 + 3 * (uint64_t)(rows / BLOCK));
}

static void fill_route(const struct op_shape *shape, enum element_type type, uint32_t rows,
                       struct op_call *call)
{
    uint32_t dk4 = shape->a / 4;
    call->params.route = (struct route_params){.batch = 1,
                                               .groups = 1,
                                               .n = rows,
                                               .heads = HEADS,
                                               .dk4 = dk4,
                                               .q_batch = rows * dk4,
                                               .q_row = dk4,
                                               .queries = rows};
    call->options[OPTION_ROUTER] = shape->kind;
    if (shape->kind == ROUTER_WEIGHT) {
        example_tensor(call, ROUTE_Q, type, (uint64_t)rows * shape->a);
        example_tensor(call, ROUTE_WEIGHT, type, (uint64_t)HEADS * shape->a);
        example_tensor(call, ROUTE_BIAS, ELEMENT_F32, HEADS);
    } else {
        example_tensor(call, ROUTE_LOGITS, type, (uint64_t)rows * HEADS);
    }
    example_tensor(call, ROUTE_HEAD, ELEMENT_U32, rows);
    example_tensor(call, ROUTE_PROB, ELEMENT_F32, rows);
}

static void fill_norm(const struct op_shape *shape, enum element_type type, uint32_t rows,
                      struct op_call *call)
{
    uint32_t quads = shape->a / 4;
    call->params.norm = (struct norm_params){
        .rows = rows, .columns = shape->a, .x_row = quads, .y_row = quads, .eps = 1e-5f};
    example_tensor(call, NORM_X, type, (uint64_t)rows * shape->a);
    example_tensor(call, NORM_WEIGHT, type, shape->a);
    example_tensor(call, NORM_BIAS, type, shape->a);
    example_tensor(call, NORM_Y, type, (uint64_t)rows * shape->a);
}

static void fill_pool(const struct op_shape *shape, enum element_type type, uint32_t rows,
                      struct op_call *call)
{
    uint32_t quads = shape->a / 4;
    struct pool_params params = {.batch = 1,
                                 .quads = quads,
                                 .rows = rows,
                                 .x_batch = rows * quads,
                                 .x_row = quads,
                                 .y_row = quads};
    for (uint32_t level = 0; level < POOL_LEVELS; level++) {
        uint32_t segments = rows / (RATE << level);
        params.rates[level] = RATE << level;
        params.segments[level] = segments;
        params.y_batch[level] = segments * quads;
        example_tensor(call, POOL_Y + level, type, (uint64_t)segments * shape->a);
    }
    call->params.pool = params;
    call->options[OPTION_LEVELS] = POOL_LEVELS;
    example_tensor(call, POOL_X, type, (uint64_t)rows * shape->a);
    example_tensor(call, POOL_LENGTHS, ELEMENT_U32, 1);
}

/* Rows are the stretches of all blocks; a block is that of a state of a keys and b values. */
static void fill_reduce(const struct op_shape *shape, enum element_type type, uint32_t rows,
                        struct op_call *call)
{
    uint32_t quads = shape->a * shape->b / 4 + shape->a / 4, blocks = rows / STRETCHES;
    (void)type; /* states are f32 */
    call->params.reduce = (struct reduce_params){
        .heads = 1, .blocks = blocks, .stretches = STRETCHES, .quads = quads, .s_block = quads};
    example_tensor(call, REDUCE_P, ELEMENT_F32, 4 * (uint64_t)rows * quads);
    example_tensor(call, REDUCE_S, ELEMENT_F32, 4 * (uint64_t)blocks * quads);
}

static void fill_embed(const struct op_shape *shape, enum element_type type, uint32_t rows,
                       struct op_call *call)
{
    uint32_t quads = shape->a / 4;
    call->params.embed = (struct embed_params){.rows = rows,
                                               .n = SHAPE_ROWS,
                                               .quads = quads,
                                               .vocabulary = VOCABULARY,
                                               .table_row = quads,
                                               .position_row = quads,
                                               .x_row = quads};
    example_tensor(call, EMBED_TOKENS, ELEMENT_U32, rows);
    example_tensor(call, EMBED_TABLE, type, (uint64_t)VOCABULARY * shape->a);
    example_tensor(call, EMBED_POSITIONS, type, (uint64_t)SHAPE_ROWS * shape->a);
    example_tensor(call, EMBED_X, type, (uint64_t)rows * shape->a);
}

/* One segment a batch row. */
static void fill_mean(const struct op_shape *shape, enum element_type type, uint32_t rows,
                      struct op_call *call)
{
    uint32_t quads = shape->a / 4, n = rows / BATCH;
    call->options[OPTION_LEVELS] = call->options[OPTION_LONG] = 1;
    call->params.pool = (struct pool_params){.batch = BATCH,
                                             .quads = quads,
                                             .rows = n,
                                             .x_batch = n * quads,
                                             .x_row = quads,
                                             .y_row = quads,
                                             .rates = {n},
                                             .segments = {1},
                                             .y_batch = {quads}};
    example_tensor(call, POOL_X, type, (uint64_t)rows * shape->a);
    example_tensor(call, POOL_LENGTHS, ELEMENT_U32, BATCH);
    example_tensor(call, POOL_Y, ELEMENT_F32, (uint64_t)BATCH * shape->a);
}

const struct op_shape op_shapes[] = {
    {&op_linear, "k 512, n 576", 512, 576, 0, 16384, fill_linear},
    {&op_state, "dk 64, dv 64", 64, 64, 0, 65536, fill_state},
    {&op_readout, "dk 64, dv 64, top1", 64, 64, ROUTING_TOP1, 65536, fill_readout},
    {&op_route, "dk 64, weights", 64, 0, ROUTER_WEIGHT, 65536, fill_route},
    {&op_linear, "k 96, n 96", 96, 96, 0, 65536, fill_linear},
    {&op_linear, "k 96, n 192", 96, 192, 0, 65536, fill_linear},
    {&op_linear, "k 192, n 96", 192, 96, 0, 65536, fill_linear},
    {&op_state, "dk 32, dv 32", 32, 32, 0, 65536, fill_state},
    {&op_readout, "dk 32, dv 32, top1", 32, 32, ROUTING_TOP1, 65536, fill_readout},
    {&op_route, "dk 32, weights", 32, 0, ROUTER_WEIGHT, 65536, fill_route},
    {&op_norm, "columns 512", 512, 0, 0, 16384, fill_norm},
    {&op_norm, "columns 96", 96, 0, 0, 65536, fill_norm},
    {&op_pool, "columns 512", 512, 0, 0, 16384, fill_pool},
    {&op_pool, "columns 96", 96, 0, 0, 65536, fill_pool},
    {&op_softmax, "dk 64, dv 64", 64, 64, 0, 16384, fill_softmax},
    {&op_softmax, "dk 64, dv 64, blocks", 64, 64, 1, 16384, fill_softmax},
    {&op_softmax, "dk 32, dv 32", 32, 32, 0, 16384, fill_softmax},
    {&op_readout, "dk 64, dv 64, soft", 64, 64, ROUTING_SOFT, 65536, fill_readout},
    {&op_readout, "dk 64, dv 64, none", 64, 64, ROUTING_NONE, 65536, fill_readout},
    {&op_reduce, "dk 64, dv 64", 64, 64, 0, 1024, fill_reduce},
    {&op_embed, "columns 96", 96, 0, 0, 65536, fill_embed},
    {&op_pool, "columns 96, all rows", 96, 0, 0, 65536, fill_mean},
    {&op_route, "logits", 0, 0, ROUTER_LOGITS, 65536, fill_route},
};
const uint32_t op_shape_count = ARRAY_SIZE(op_shapes);

struct op_call op_shape_call(const struct op_shape *shape, enum element_type type, uint32_t rows)
{
    struct op_call call = {.op = shape->op};
    shape->fill(shape, type, rows, &call);
    return call;
}

/* ---- inputs ---- */

#define BASIC 4096 /* numbers that are drawn; they repeat */

static void fill_numbers(struct random *random, const struct tensor *tensor)
{
    const size_t size = element_bytes(tensor->type);
    uint64_t drawn = size_min(tensor->elements, BASIC);
    for (uint64_t i = 0; i < drawn; i++)
        tensor_set(tensor, i, 0.5 + random_unit(random));
    for (uint64_t i = drawn; i < tensor->elements; i += drawn)
        memcpy((uint8_t *)tensor->host + i * size, tensor->host,
               size_min(drawn, tensor->elements - i) * size);
}

/* A run around each block, all of the same length. */
static void fill_runs(const struct op_call *call)
{
    const struct tensor *runs = &call->tensors[SOFTMAX_RUNS];
    uint32_t blocks = call->params.softmax.n / BLOCK, most = call->params.softmax.m - RUN;
    for (uint32_t block = 0; block <= blocks; block++)
        tensor_set_u32(runs, block, blocks + 1 + 2 * block);
    for (uint32_t block = 0; block < blocks; block++) {
        uint32_t first = (uint32_t)size_min((uint64_t)block * BLOCK, most);
        tensor_set_u32(runs, blocks + 1 + 2 * block, first);
        tensor_set_u32(runs, blocks + 2 + 2 * block, first + RUN);
    }
}

void op_shape_fill(struct random *random, const struct op_call *call, uint32_t index)
{
    const struct tensor *tensor = &call->tensors[index];
    bool token = call->op == &op_embed && index == EMBED_TOKENS;
    if (tensor->type != ELEMENT_U32) {
        fill_numbers(random, tensor);
        return;
    }
    if (call->op == &op_softmax && index == SOFTMAX_RUNS) {
        fill_runs(call);
        return;
    }
    for (uint64_t i = 0; i < tensor->elements; i++) {
        uint32_t value = FULL;
        if (call->op == &op_state && index == STATE_RATES)
            value = state_rates[i];
        if (token)
            value = random_between(random, 0, VOCABULARY - 1);
        tensor_set_u32(tensor, i, value);
    }
}
