/* adamra_attention_record: the attention's graph over the caller's buffers, in the caller's command
 * buffer. What the host brings is small: it becomes the graph's constants. */
#include "attention.h"
#include "gpu/cache.h"
#include "recording.h"
#include <stdlib.h>
#include <string.h>

/* Lengths and the router's weights as the device reads them. */
struct host_inputs {
    uint32_t *lengths[2]; /* of keys, of queries */
    float *weight, *bias;
    const void *constants[SLOT_COUNT];
};

/* Memory for an empty tensor, which is bound although no number of it is read. */
static const float nothing[4];

static void host_inputs_finish(struct host_inputs *inputs)
{
    free(inputs->lengths[0]);
    free(inputs->lengths[1]);
    free(inputs->weight);
    free(inputs->bias);
}

static uint32_t *copy_lengths(const uint32_t *lengths, uint32_t count, uint32_t all)
{
    uint32_t *copy = calloc(count, sizeof(*copy));
    for (uint32_t b = 0; copy && b < count; b++)
        copy[b] = lengths ? lengths[b] : all;
    return copy;
}

/* The slot's rows, padded with zeros to whole quads; all zeros without data. */
static float *copy_rows(const struct slot *slot, const float *data)
{
    float *copy = calloc(slot_elements(slot) + 1, sizeof(*copy));
    for (uint64_t row = 0; copy && data && row < slot->rows; row++)
        memcpy(copy + row * slot->stride, data + row * slot->width, slot->width * sizeof(*copy));
    return copy;
}

static status host_inputs_init(struct adamra_attention *attention, const adamra_attention_io *io,
                               struct host_inputs *inputs)
{
    const struct attn_shape *shape = &attention->form.shape;
    const struct slot *slots = attention->form.slots;
    *inputs =
        (struct host_inputs){.lengths = {copy_lengths(io->key_lengths, shape->batch, shape->m),
                                         copy_lengths(io->query_lengths, shape->batch, shape->n)}};
    inputs->constants[SLOT_KEY_LENGTHS] = inputs->lengths[0];
    inputs->constants[SLOT_QUERY_LENGTHS] = inputs->lengths[1];
    bool complete = inputs->lengths[0] && inputs->lengths[1];
    if (slots[SLOT_WEIGHT].used) {
        inputs->constants[SLOT_WEIGHT] = inputs->weight =
            copy_rows(&slots[SLOT_WEIGHT], io->router_weight.data);
        inputs->constants[SLOT_BIAS] = inputs->bias =
            copy_rows(&slots[SLOT_BIAS], io->router_bias.data);
        complete = complete && inputs->weight && inputs->bias;
    }
    for (enum slot_index i = 0; i < SLOT_Y; i++)
        if (slots[i].rows == 0)
            inputs->constants[i] = nothing;
    for (enum slot_index i = SLOT_SHARED_COUNT; i < SLOT_COUNT; i++)
        if (attention_io_tensor(io, i).buffer)
            inputs->constants[i] = NULL;
    if (complete)
        return STATUS_OK;
    host_inputs_finish(inputs);
    return fail(&attention->context->log, STATUS_OUT_OF_HOST_MEMORY,
                "no memory for the lengths and weights of a recording");
}

static status check_record(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const struct slot *slots = attention->form.slots;
    status result = attention_check_io(attention, io);
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT && !result; i++)
        EXPECT(!slots[i].used || slots[i].rows == 0 || attention_io_tensor(io, i).buffer,
               "%s: expected a buffer in a recorded run, got host memory", slots[i].name);
    if (result)
        return result;
    EXPECT(!io->head && !io->prob,
           "head, prob: expected NULL in a recorded run; io.device is for these");
    return STATUS_OK;
}

static status record_plan(struct adamra_attention *attention, const adamra_attention_io *io,
                          const struct attention_variant *variant, VkCommandBuffer command,
                          struct adamra_recording *recording)
{
    struct adamra_context *context = attention->context;
    tensor_id tensors[SLOT_COUNT];
    status result = attention_form_build(&attention->form, variant, &recording->graph, tensors);
    if (result)
        return fail(&context->log, result, "no memory for the graph of an attention");
    struct plan_binding *bindings = calloc(recording->graph.tensor_count, sizeof(*bindings));
    if (!bindings)
        return fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for bindings");
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        adamra_tensor tensor = attention_io_tensor(io, i);
        if (tensors[i] != NO_TENSOR)
            bindings[tensors[i]] =
                (struct plan_binding){.buffer = tensor.buffer->memory, .offset = tensor.offset};
    }
    struct plan_params params = {.candidate = context->candidate, .command = command};
    result = plan_create(context->device, &recording->graph, bindings, &params, &recording->plan);
    free(bindings);
    return result;
}

static status record(struct adamra_attention *attention, const adamra_attention_io *io,
                     VkCommandBuffer command, struct adamra_recording *recording)
{
    struct host_inputs inputs;
    if (attention->form.slots[SLOT_Y].rows == 0) /* only the barriers */
        return plan_create(attention->context->device, &recording->graph, NULL,
                           &(struct plan_params){.command = command}, &recording->plan);
    status result = host_inputs_init(attention, io, &inputs);
    if (result)
        return result;
    struct attention_variant variant = attention_io_variant(&attention->form, io);
    variant.constants = inputs.constants;
    result = record_plan(attention, io, &variant, command, recording);
    host_inputs_finish(&inputs);
    return result;
}

adamra_status adamra_attention_record(adamra_attention *attention, const adamra_attention_io *io,
                                      VkCommandBuffer command, adamra_recording **out)
{
    if (!attention)
        return ADAMRA_INVALID_ARGUMENT;
    struct adamra_context *context = attention->context;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    if (!command)
        return context_fail_null(context, "command");
    status result = check_record(attention, io);
    if (result)
        return context_status(result);
    struct adamra_recording *recording = recording_create(context);
    if (!recording)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    result = record(attention, io, command, recording);
    if (result) {
        adamra_recording_destroy(recording);
        return context_status(result);
    }
    gpu_pipelines_keep(context->device);
    *out = recording;
    return ADAMRA_OK;
}
