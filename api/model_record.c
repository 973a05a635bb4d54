/* adamra_model_record: the encoder over the caller's buffers, in the caller's command buffer. */
#include "api/model.h"
#include "gpu/cache.h"
#include "recording.h"

/* A tensor of the encoder in a buffer of the caller's. */
struct io_buffer {
    const char *name;
    tensor_id id;
    const adamra_buffer *buffer;
    uint64_t offset;
};

static status check_io(const struct adamra_model *model, const adamra_model_io *io)
{
    struct logger *log = &model->context->log;
    uint32_t most = model->config.max_position_embeddings;
    EXPECT(io, "io: expected a pointer, got NULL");
    EXPECT(io->batch > 0, "batch: expected at least 1, got 0");
    EXPECT(io->n > 0 && io->n <= most, "n: expected 1..%u (max_position_embeddings), got %u", most,
           io->n);
    EXPECT(io->tokens, "tokens: expected a buffer, got NULL");
    EXPECT(io->logits, "logits: expected a buffer, got NULL");
    return STATUS_OK;
}

static status bind_io(const struct adamra_model *model, const struct io_buffer *part,
                      struct encoder *encoder)
{
    struct logger *log = &model->context->log;
    unsigned long long bytes = graph_tensor_bytes(&encoder->graph, part->id);
    unsigned long long size = part->buffer->memory->size, offset = part->offset;
    EXPECT(part->buffer->context == model->context, "%s: expected a buffer of the same context",
           part->name);
    EXPECT(offset % 16 == 0, "%s: expected an offset that is a multiple of 16, got %llu",
           part->name, offset);
    EXPECT(offset <= size && bytes <= size - offset,
           "%s: expected %llu bytes at offset %llu of its buffer, which has %llu", part->name,
           bytes, offset, size);
    encoder->bindings[part->id] =
        (struct plan_binding){.buffer = part->buffer->memory, .offset = offset};
    return STATUS_OK;
}

/* The logits are written after the inputs were read, but the device may start the next execution's
 * reads from what they left. */
static status check_overlap(const struct adamra_model *model, const struct encoder *encoder,
                            const struct io_buffer *input)
{
    struct logger *log = &model->context->log;
    const struct graph *graph = &encoder->graph;
    const struct plan_binding *a = &encoder->bindings[input->id];
    const struct plan_binding *b = &encoder->bindings[encoder->logits];
    EXPECT(a->buffer->handle != b->buffer->handle ||
               a->offset + graph_tensor_bytes(graph, input->id) <= b->offset ||
               b->offset + graph_tensor_bytes(graph, encoder->logits) <= a->offset,
           "logits: expected memory of its own, got bytes that %s has too", input->name);
    return STATUS_OK;
}

/* Lengths of all rows that the caller leaves out: host memory that the device reads. */
static status full_lengths(struct adamra_model *model, const adamra_model_io *io,
                           struct adamra_recording *recording)
{
    uint64_t bytes = io->batch * (uint64_t)sizeof(uint32_t);
    status result =
        gpu_buffer_create(model->context->device, bytes, GPU_MEMORY_UPLOAD, &recording->lengths);
    if (result)
        return result;
    uint32_t *lengths = (uint32_t *)recording->lengths->mapped;
    for (uint32_t row = 0; row < io->batch; row++)
        lengths[row] = io->n;
    recording->encoder.bindings[recording->encoder.lengths].buffer = recording->lengths;
    return gpu_buffer_flush(recording->lengths, 0, bytes);
}

static status bind_all(struct adamra_model *model, const adamra_model_io *io,
                       struct adamra_recording *recording)
{
    struct encoder *encoder = &recording->encoder;
    const struct io_buffer logits = {"logits", encoder->logits, io->logits, io->logits_offset};
    const struct io_buffer inputs[] = {
        {"tokens", encoder->tokens, io->tokens, io->tokens_offset},
        {"lengths", encoder->lengths, io->lengths, io->lengths_offset}};
    status result = bind_io(model, &logits, encoder);
    for (size_t i = 0; i < ARRAY_SIZE(inputs) && !result; i++) {
        if (!inputs[i].buffer)
            continue;
        result = bind_io(model, &inputs[i], encoder);
        if (!result)
            result = check_overlap(model, encoder, &inputs[i]);
    }
    return result || io->lengths ? result : full_lengths(model, io, recording);
}

static status record(struct adamra_model *model, const adamra_model_io *io, VkCommandBuffer command,
                     struct adamra_recording *recording)
{
    struct adamra_context *context = model->context;
    struct encoder *encoder = &recording->encoder;
    struct plan_params params = {.candidate = context->candidate, .command = command};
    /* A caller's buffer may lack what kernels on devices that bind few storage buffers read by. */
    const bool copied = io->lengths && !io->lengths->memory->texel;
    status result = encoder_build(&context->log, &model->config, &model->weights, io->batch, io->n,
                                  copied, encoder);
    if (!result)
        result = bind_all(model, io, recording);
    if (!result)
        result = plan_create(context->device, &encoder->graph, encoder->bindings, &params,
                             &recording->plan);
    return result;
}

adamra_status adamra_model_record(adamra_model *model, const adamra_model_io *io,
                                  VkCommandBuffer command, adamra_recording **out)
{
    if (!model)
        return ADAMRA_INVALID_ARGUMENT;
    struct adamra_context *context = model->context;
    if (!out)
        return context_fail_null(context, "out");
    *out = NULL;
    if (!command)
        return context_fail_null(context, "command");
    status result = check_io(model, io);
    if (result)
        return context_status(result);
    struct adamra_recording *recording = recording_create(context);
    if (!recording)
        return ADAMRA_OUT_OF_HOST_MEMORY;
    result = record(model, io, command, recording);
    if (result) {
        adamra_recording_destroy(recording);
        return context_status(result);
    }
    gpu_pipelines_keep(context->device);
    *out = recording;
    return ADAMRA_OK;
}
