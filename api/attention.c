#include "attention.h"
#include <stdlib.h>

/* Kernels go through the rows of a segment in a loop, which some drivers end early. */
static status check_rates(struct adamra_context *context, const struct attn_shape *shape)
{
    const struct gpu_device *device = context->device;
    for (uint32_t head = 0; head < shape->heads; head++)
        if (size_min(shape->rates[head], shape->m) > device->limits.loop_iterations)
            return fail(&context->log, STATUS_UNSUPPORTED,
                        "rates[%u]: %u for %u keys, expected at most %u of either on %s, whose "
                        "driver ends longer loops",
                        head, shape->rates[head], shape->m, device->limits.loop_iterations,
                        device->info.name);
    return STATUS_OK;
}

adamra_status adamra_attention_create(adamra_context *context,
                                      const adamra_attention_params *params, adamra_attention **out)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    status result = gpu_device_check(context->device);
    if (result)
        return context_status(result);
    struct adamra_attention *attention = calloc(1, sizeof(*attention));
    if (!attention)
        return context_status(
            fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for an attention's record"));
    attention->context = context;
    graph_init(&attention->graph);
    result = attention_form_init(&context->log, params, &attention->form);
    if (!result)
        result = check_rates(context, &attention->form.shape);
    if (result)
        goto error;
    uint32_t batch = attention->form.shape.batch;
    attention->lengths = calloc(batch, sizeof(*attention->lengths));
    if (!attention->lengths) {
        result = fail(&context->log, STATUS_OUT_OF_HOST_MEMORY,
                      "no memory for the lengths of %u rows", batch);
        goto error;
    }
    *out = attention;
    return ADAMRA_OK;

error:
    adamra_attention_destroy(attention);
    return context_status(result);
}

void attention_drop_plan(struct adamra_attention *attention)
{
    plan_destroy(attention->plan);
    attention->plan = NULL;
    graph_finish(&attention->graph);
    graph_init(&attention->graph);
}

void attention_drop_memory(struct adamra_attention *attention)
{
    attention_drop_plan(attention);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        gpu_buffer_destroy(attention->own[i]);
        attention->own[i] = NULL;
    }
}

void adamra_attention_destroy(adamra_attention *attention)
{
    if (!attention)
        return;
    attention_drop_memory(attention);
    graph_finish(&attention->graph);
    free(attention->lengths);
    free(attention);
}
