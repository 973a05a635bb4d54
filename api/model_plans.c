/* The plans of a model: of the last few shapes, as long as the device has memory for them. */
#include "api/model.h"

/* What create_plan made. */
static void destroy_plan(struct model_plan *slot)
{
    plan_destroy(slot->plan);
    gpu_buffer_destroy(slot->tokens);
    gpu_buffer_destroy(slot->lengths);
    gpu_buffer_destroy(slot->logits);
    slot->plan = NULL;
    slot->tokens = slot->lengths = slot->logits = NULL;
}

static void plan_slot_finish(struct model_plan *slot)
{
    destroy_plan(slot);
    encoder_finish(&slot->encoder);
    *slot = (struct model_plan){0};
}

/* A buffer of the size of one of the encoder's bound tensors, bound to it. */
static status bind_buffer(struct gpu_device *device, struct encoder *encoder, tensor_id id,
                          enum gpu_memory_kind kind, struct gpu_buffer **out)
{
    status result =
        gpu_buffer_create(device, graph_tensor_bytes(&encoder->graph, id), kind, out);
    encoder->bindings[id].buffer = *out;
    return result;
}

/* What a plan of the encoder takes of the device's memory. */
static status measure(struct logger *log, const struct encoder *encoder, uint64_t *bytes)
{
    const tensor_id bound[] = {encoder->tokens, encoder->lengths, encoder->logits};
    status result = plan_measure(log, &encoder->graph, bytes);
    for (size_t i = 0; i < ARRAY_SIZE(bound); i++)
        *bytes += graph_tensor_bytes(&encoder->graph, bound[i]);
    return result;
}

static status create_plan(struct adamra_model *model, struct model_plan *slot)
{
    struct gpu_device *device = model->context->device;
    struct encoder *encoder = &slot->encoder;
    struct plan_params params = {.candidate = model->context->candidate};
    status result = bind_buffer(device, encoder, encoder->tokens, GPU_MEMORY_UPLOAD, &slot->tokens);
    if (result == STATUS_OK)
        result = bind_buffer(device, encoder, encoder->lengths, GPU_MEMORY_UPLOAD, &slot->lengths);
    if (result == STATUS_OK)
        result = bind_buffer(device, encoder, encoder->logits, GPU_MEMORY_READBACK, &slot->logits);
    if (result == STATUS_OK)
        result = plan_create(device, &encoder->graph, encoder->bindings, &params, &slot->plan);
    return result;
}

/* ---- memory ---- */

/* Of the memory that is free, what a plan can have. */
static uint64_t free_bytes(const struct adamra_model *model)
{
    return gpu_memory_usable(gpu_memory_free(model->context->device));
}

/* The plan that was not used for the longest time; NULL: none is kept. */
static struct model_plan *oldest_plan(struct adamra_model *model)
{
    struct model_plan *oldest = NULL;
    for (uint32_t i = 0; i < MODEL_PLANS; i++) {
        struct model_plan *slot = &model->plans[i];
        if (slot->batch && (!oldest || slot->last_used < oldest->last_used))
            oldest = slot;
    }
    return oldest;
}

static bool drop_oldest(struct adamra_model *model)
{
    struct model_plan *oldest = oldest_plan(model);
    if (oldest)
        plan_slot_finish(oldest);
    return oldest != NULL;
}

/* Whether a plan of a batch should be made: there is room for its bytes, if need be in place of all
 * others, of which those in its way are dropped. Also where there is none for a single row, or it
 * is one: the device may have other memory, or says what it lacks. */
static bool make_room(struct adamra_model *model, uint32_t batch, uint64_t bytes)
{
    uint64_t room = free_bytes(model);
    for (uint32_t i = 0; i < MODEL_PLANS; i++)
        room += model->plans[i].memory;
    bool fits = bytes <= size_min(room, model->context->device->limits.allocation_bytes);
    while (fits && bytes > free_bytes(model) && drop_oldest(model))
        continue;
    return fits || batch == 1 || bytes / batch > room;
}

/* ---- plans ---- */

static struct model_plan *find_kept(struct adamra_model *model, uint32_t batch, uint32_t n)
{
    for (uint32_t i = 0; i < MODEL_PLANS; i++)
        if (model->plans[i].batch == batch && model->plans[i].n == n)
            return &model->plans[i];
    return NULL;
}

static struct model_plan *free_slot(struct adamra_model *model)
{
    struct model_plan *slot = find_kept(model, 0, 0);
    if (slot)
        return slot;
    slot = oldest_plan(model);
    plan_slot_finish(slot);
    return slot;
}

/* Makes the plan of the slot's encoder, in place of others if it must. While there is another way,
 * these or a smaller batch, a lack of memory is not reported. */
static status fill_slot(struct adamra_model *model, uint32_t batch, struct model_plan *slot)
{
    struct adamra_context *context = model->context;
    status result;
    do {
        context->failures_held = batch > 1 || oldest_plan(model);
        result = create_plan(model, slot);
        if (result != STATUS_OK)
            destroy_plan(slot);
    } while (result == STATUS_OUT_OF_DEVICE_MEMORY && drop_oldest(model));
    bool held = context->failures_held;
    context->failures_held = false;
    return held && result != STATUS_OK && result != STATUS_OUT_OF_DEVICE_MEMORY
               ? fail(&context->log, result, "%s", context->log.error)
               : result;
}

static status add_plan(struct adamra_model *model, uint32_t batch, uint32_t n,
                       struct model_plan **out)
{
    struct logger *log = &model->context->log;
    struct encoder encoder;
    uint64_t bytes = 0;
    status result = encoder_build(log, &model->config, &model->weights, batch, n, false, &encoder);
    if (result != STATUS_OK)
        return result;
    result = measure(log, &encoder, &bytes);
    if (result == STATUS_OK && !make_room(model, batch, bytes))
        result = STATUS_OUT_OF_DEVICE_MEMORY;
    if (result != STATUS_OK) {
        encoder_finish(&encoder);
        return result;
    }
    struct model_plan *slot = free_slot(model);
    slot->encoder = encoder;
    result = fill_slot(model, batch, slot);
    if (result != STATUS_OK) {
        plan_slot_finish(slot);
        return result;
    }
    encoder_cost(&slot->encoder, &slot->operations, &slot->bytes);
    slot->batch = batch;
    slot->n = n;
    slot->memory = bytes;
    *out = slot;
    return STATUS_OK;
}

status model_plan_find(struct adamra_model *model, uint32_t batch, uint32_t n,
                       struct model_plan **out)
{
    *out = find_kept(model, batch, n);
    status result = *out ? STATUS_OK : add_plan(model, batch, n, out);
    if (result == STATUS_OK)
        (*out)->last_used = ++model->uses;
    return result;
}

void model_plans_finish(struct adamra_model *model)
{
    for (uint32_t i = 0; i < MODEL_PLANS; i++)
        plan_slot_finish(&model->plans[i]);
}
