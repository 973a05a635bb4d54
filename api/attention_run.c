#include "attention_import.h"
#include "attention_stream.h"
#include "gpu/cache.h"
#include "transfer.h"
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

/* The attention's own buffer of a slot, made on first use. */
static status own_buffer(struct adamra_attention *attention, enum slot_index index)
{
    if (attention->own[index])
        return STATUS_OK;
    /* Kernels bind at least a quad, also of an empty tensor. */
    uint64_t bytes = size_round_up(size_max(1, slot_bytes(&attention->form.slots[index])), 16);
    return gpu_buffer_create(attention->context->device, bytes, GPU_MEMORY_DEVICE,
                             &attention->own[index]);
}

/* Of a slot that the caller now brings a buffer for: the plan over it goes too. */
static void drop_own(struct adamra_attention *attention, enum slot_index index)
{
    if (!attention->own[index])
        return;
    attention_drop_plan(attention);
    gpu_buffer_destroy(attention->own[index]);
    attention->own[index] = NULL;
}

/* Finds every slot's memory for this run: the caller's, or our own. */
static status find_memory(struct adamra_attention *attention, const adamra_attention_io *io,
                          const struct attention_variant *variant,
                          const struct host_import imports[SLOT_SHARED_COUNT],
                          struct slot_memory memory[SLOT_COUNT])
{
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &attention->form.slots[i];
        adamra_tensor tensor = attention_io_tensor(io, i);
        memory[i] = (struct slot_memory){0};
        if (!slot->used || (slot_is_route(i) && !variant->route))
            continue;
        if (tensor.buffer && slot->rows) {
            drop_own(attention, i);
            memory[i] =
                (struct slot_memory){tensor.buffer->memory, tensor.buffer->serial, tensor.offset};
            continue;
        }
        if (i < SLOT_SHARED_COUNT && imports[i].buffer) {
            uint64_t serial = ++attention->context->buffers_made;
            memory[i] = (struct slot_memory){imports[i].buffer, serial, imports[i].offset};
            continue;
        }
        status result = own_buffer(attention, i);
        if (result)
            return result;
        memory[i].buffer = attention->own[i];
    }
    return STATUS_OK;
}

/* ---- plan ---- */

static bool plan_fits(const struct adamra_attention *attention,
                      const struct attention_variant *variant,
                      const struct slot_memory memory[SLOT_COUNT])
{
    if (!attention->plan || attention->candidate != attention->context->candidate ||
        !attention_variant_equal(&attention->variant, variant))
        return false;
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        const struct slot_memory *old = &attention->memory[i];
        if (old->buffer != memory[i].buffer || old->serial != memory[i].serial ||
            old->offset != memory[i].offset)
            return false;
    }
    return true;
}

static status make_plan(struct adamra_attention *attention, const struct attention_variant *variant,
                        const struct slot_memory memory[SLOT_COUNT])
{
    struct adamra_context *context = attention->context;
    struct graph *graph = &attention->graph;
    attention_drop_plan(attention);
    status result = attention_form_build(&attention->form, variant, graph, attention->tensors);
    if (result)
        return fail(&context->log, result, "no memory for the graph of an attention");
    struct plan_binding *bindings = calloc(graph->tensor_count, sizeof(*bindings));
    if (!bindings)
        return fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for bindings");
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        if (attention->tensors[i] != NO_TENSOR)
            bindings[attention->tensors[i]] =
                (struct plan_binding){.buffer = memory[i].buffer, .offset = memory[i].offset};
    result = plan_create(context->device, graph, bindings,
                         &(struct plan_params){.candidate = context->candidate}, &attention->plan);
    free(bindings);
    if (result)
        return result;
    attention->variant = *variant;
    attention->candidate = context->candidate;
    memcpy(attention->memory, memory, sizeof(attention->memory));
    return STATUS_OK;
}

/* ---- data in and out ---- */

static status upload_lengths(struct adamra_attention *attention, enum slot_index index,
                             const uint32_t *lengths, uint32_t all)
{
    uint32_t batch = attention->form.shape.batch;
    for (uint32_t b = 0; b < batch; b++)
        attention->lengths[b] = lengths ? lengths[b] : all;
    return gpu_buffer_write(attention->own[index], 0, attention->lengths,
                            batch * sizeof(*attention->lengths));
}

static status upload_router(struct adamra_attention *attention, const adamra_attention_io *io)
{
    const struct slot *bias = &attention->form.slots[SLOT_BIAS];
    if (!bias->used)
        return STATUS_OK;
    status result = transfer_upload(attention->own[SLOT_WEIGHT],
                                    &attention->form.slots[SLOT_WEIGHT], io->router_weight.data);
    if (result)
        return result;
    if (io->router_bias.data)
        return transfer_upload(attention->own[SLOT_BIAS], bias, io->router_bias.data);
    float *zeros = calloc(bias->rows, sizeof(*zeros));
    if (!zeros)
        return fail(&attention->context->log, STATUS_OUT_OF_HOST_MEMORY,
                    "no memory for a router's bias");
    result = transfer_upload(attention->own[SLOT_BIAS], bias, zeros);
    free(zeros);
    return result;
}

static status upload(struct adamra_attention *attention, const adamra_attention_io *io,
                     const struct host_import imports[SLOT_SHARED_COUNT])
{
    const struct attention_form *form = &attention->form;
    status result = STATUS_OK;
    for (enum slot_index i = 0; i < SLOT_Y && !result; i++) {
        adamra_tensor tensor = attention_io_tensor(io, i);
        if (form->slots[i].used && tensor.data && !imports[i].buffer)
            result = transfer_upload(attention->own[i], &form->slots[i], tensor.data);
    }
    if (!result)
        result = upload_router(attention, io);
    if (!result)
        result = upload_lengths(attention, SLOT_KEY_LENGTHS, io->key_lengths, form->shape.m);
    if (!result)
        result = upload_lengths(attention, SLOT_QUERY_LENGTHS, io->query_lengths, form->shape.n);
    return result;
}

static status download(struct adamra_attention *attention, const adamra_attention_io *io,
                       const struct host_import imports[SLOT_SHARED_COUNT])
{
    const struct slot *slots = attention->form.slots;
    status result = STATUS_OK;
    if (io->y.data && !imports[SLOT_Y].buffer)
        result = transfer_download(attention->own[SLOT_Y], &slots[SLOT_Y], io->y.data);
    if (!result && io->head)
        result =
            gpu_buffer_read(attention->own[SLOT_HEAD], 0, io->head, slot_bytes(&slots[SLOT_HEAD]));
    if (!result && io->prob)
        result =
            gpu_buffer_read(attention->own[SLOT_PROB], 0, io->prob, slot_bytes(&slots[SLOT_PROB]));
    return result;
}

/* ---- run ---- */

/* Device memory by use: the slots that the plan binds, and its scratch. */
static void count_memory(const struct adamra_attention *attention, adamra_timing *timing)
{
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        if (attention->tensors[i] == NO_TENSOR)
            continue;
        uint64_t bytes = slot_bytes(&attention->form.slots[i]);
        if (i < SLOT_Y)
            timing->input_bytes += bytes;
        else if (slot_is_output(i))
            timing->output_bytes += bytes;
        else
            timing->extra_bytes += bytes;
    }
    timing->extra_bytes += plan_scratch_bytes(attention->plan);
}

static status run_over(struct adamra_attention *attention, const adamra_attention_io *io,
                       const struct attention_variant *variant,
                       const struct host_import imports[SLOT_SHARED_COUNT], adamra_timing *timing)
{
    struct slot_memory memory[SLOT_COUNT];
    status result = find_memory(attention, io, variant, imports, memory);
    if (!result && !plan_fits(attention, variant, memory))
        result = make_plan(attention, variant, memory);
    if (!result)
        result = upload(attention, io, imports);
    if (!result)
        result = plan_run(attention->plan, &timing->device_ms);
    if (!result)
        result = download(attention, io, imports);
    if (result)
        return result;
    timing->submissions = gpu_commands_submissions(plan_commands(attention->plan));
    count_memory(attention, timing);
    return STATUS_OK;
}

static status run_whole(struct adamra_attention *attention, const adamra_attention_io *io,
                        const struct attention_variant *variant, adamra_timing *timing)
{
    struct host_import imports[SLOT_SHARED_COUNT];
    attention_import(attention, io, imports);
    status result = run_over(attention, io, variant, imports, timing);
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++)
        if (imports[i].buffer && attention->plan) /* it reads memory that is given back */
            attention_drop_plan(attention);
    attention_import_finish(imports);
    return result;
}

static status run(struct adamra_attention *attention, const adamra_attention_io *io,
                  adamra_timing *timing)
{
    const struct attention_form *form = &attention->form;
    bool stream, refused = false;
    status result = gpu_device_check(attention->context->device);
    if (!result)
        result = attention_check_io(attention, io);
    if (!result && io->device)
        result = fail(&attention->context->log, STATUS_INVALID_ARGUMENT,
                      "device: expected NULL in a run that is not recorded");
    if (result || form->slots[SLOT_Y].rows == 0)
        return result;
    struct attention_variant variant = attention_io_variant(form, io);
    result = attention_must_stream(attention, io, &variant, &stream);
    if (result)
        return result;
    timing->operations = form->operations;
    timing->bytes = form->bytes;
    if (stream)
        result = attention_stream(attention, io, timing, &refused);
    return stream && !refused ? result : run_whole(attention, io, &variant, timing);
}

adamra_status adamra_attention_run(adamra_attention *attention, const adamra_attention_io *io,
                                   adamra_timing *timing)
{
    if (!attention)
        return ADAMRA_INVALID_ARGUMENT;
    struct adamra_context *context = attention->context;
    double start = context_clock_ms();
    adamra_timing measured = {0};
    status result = context_enter(context);
    if (result)
        return context_status(result);
    result = run(attention, io, &measured);
    context_leave(context);
    if (!result)
        gpu_pipelines_keep(context->device);
    measured.host_ms = context_clock_ms() - start;
    if (timing && !result)
        *timing = measured;
    return context_status(result);
}
