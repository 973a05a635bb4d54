/* The two ways to run an attention_case: the public API, and its graph on the reference loops. */
#include "attention_cases.h"
#include "attention_form.h"
#include "model/plan.h"
#include <stdlib.h>
#include <string.h>

adamra_context *attention_context(void)
{
    static adamra_context *context;
    if (!context) {
        const adamra_context_params params = test_context_params();
        adamra_status result = adamra_context_create(&params, &context);
        ck_assert_msg(result == ADAMRA_OK, "no device: %s", adamra_status_text(result));
    }
    return context;
}

adamra_attention_io attention_case_io(const struct attention_case *c,
                                      const struct attention_result *result)
{
    return (adamra_attention_io){
        .q.data = c->q,
        .k.data = c->k,
        .v.data = c->v,
        .router_logits.data = c->logits,
        .router_weight.data = c->weight,
        .router_bias.data = c->bias,
        .key_lengths = c->key_lengths,
        .query_lengths = c->query_lengths,
        .y.data = result->y,
        .head = result->head,
        .prob = result->prob,
    };
}

void attention_case_run(adamra_context *context, const struct attention_case *c, adamra_type type,
                        struct attention_result *result, adamra_timing *timing)
{
    adamra_attention *attention;
    adamra_attention_params params = c->params;
    params.type = type;
    ck_assert_msg(!adamra_attention_create(context, &params, &attention), "%s: %s", c->name,
                  adamra_error(context));
    adamra_attention_io io = attention_case_io(c, result);
    ck_assert_msg(!adamra_attention_run(attention, &io, timing), "%s: %s", c->name,
                  adamra_error(context));
    adamra_attention_destroy(attention);
}

/* A slot's host memory, padded, filled from tight floats where there are any. */
static void *slot_memory_create(const struct slot *slot, const float *data)
{
    struct tensor tensor = {.type = slot->type, .elements = slot_elements(slot)};
    tensor.host = calloc(slot_bytes(slot) + 16, 1);
    ck_assert_ptr_nonnull(tensor.host);
    for (uint64_t row = 0; data && row < slot->rows; row++)
        for (uint32_t column = 0; column < slot->width; column++)
            tensor_set(&tensor, row * slot->stride + column, data[row * slot->width + column]);
    return tensor.host;
}

void attention_store(adamra_type type, void *memory, const float *numbers, size_t count)
{
    if (type == ADAMRA_F16)
        half_from_floats(memory, numbers, count);
    else
        memcpy(memory, numbers, count * sizeof(*numbers));
}

void attention_fetch(adamra_type type, const void *memory, float *numbers, size_t count)
{
    if (type == ADAMRA_F16)
        half_to_floats(numbers, memory, count);
    else
        memcpy(numbers, memory, count * sizeof(*numbers));
}

static void fill_lengths(uint32_t *target, const uint32_t *lengths, uint32_t batch, uint32_t all)
{
    for (uint32_t b = 0; b < batch; b++)
        target[b] = lengths ? lengths[b] : all;
}

void attention_case_run_reference(const struct attention_case *c, adamra_type type,
                                  struct attention_result *result)
{
    adamra_attention_params params = c->params;
    params.type = type;
    struct attention_form form;
    struct graph graph;
    tensor_id ids[SLOT_COUNT];
    ck_assert_msg(!attention_form_init(test_logger(), &params, &form), "%s: %s", c->name,
                  test_logger()->error);
    graph_init(&graph);
    struct attention_variant variant = {.route = result->head != NULL};
    ck_assert_int_eq(attention_form_build(&form, &variant, &graph, ids), STATUS_OK);

    const float *data[SLOT_COUNT] = {
        [SLOT_Q] = c->q,           [SLOT_K] = c->k,           [SLOT_V] = c->v,
        [SLOT_LOGITS] = c->logits, [SLOT_WEIGHT] = c->weight, [SLOT_BIAS] = c->bias};
    void *memory[SLOT_COUNT];
    struct plan_binding *bindings = calloc(graph.tensor_count, sizeof(*bindings));
    ck_assert_ptr_nonnull(bindings);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        memory[i] = slot_memory_create(&form.slots[i], data[i]);
        if (ids[i] != NO_TENSOR)
            bindings[ids[i]].host = memory[i];
    }
    fill_lengths(memory[SLOT_KEY_LENGTHS], c->key_lengths, params.batch, params.keys);
    fill_lengths(memory[SLOT_QUERY_LENGTHS], c->query_lengths, params.batch, params.queries);
    ck_assert_msg(!plan_run_reference(test_logger(), &graph, bindings), "%s: %s", c->name,
                  test_logger()->error);

    const struct slot *y = &form.slots[SLOT_Y];
    struct tensor tensor = {.type = y->type, .elements = slot_elements(y), .host = memory[SLOT_Y]};
    for (uint64_t row = 0; row < y->rows; row++)
        for (uint32_t column = 0; column < y->width; column++)
            result->y[row * y->width + column] =
                (float)tensor_get(&tensor, row * y->stride + column);
    if (result->head) {
        memcpy(result->head, memory[SLOT_HEAD], slot_bytes(&form.slots[SLOT_HEAD]));
        memcpy(result->prob, memory[SLOT_PROB], slot_bytes(&form.slots[SLOT_PROB]));
    }
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        free(memory[i]);
    free(bindings);
    graph_finish(&graph);
}
