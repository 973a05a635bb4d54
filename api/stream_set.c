#include "stream_set.h"
#include <assert.h>
#include <stdlib.h>

/* ---- memory ---- */

status stream_take(struct stream *stream, uint64_t bytes, enum gpu_memory_kind kind,
                   struct gpu_buffer **out)
{
    status result = gpu_buffer_create(stream->context->device, bytes, kind, out);
    if (result)
        return result;
    stream->taken += bytes;
    stream->most = size_max(stream->most, stream->taken);
    return STATUS_OK;
}

status stream_set_init(struct stream *stream, const struct stream_sizes *sizes,
                       struct stream_set *set)
{
    *set = (struct stream_set){0};
    graph_init(&set->graph);
    status result = stream_take(stream, sizes->data, GPU_MEMORY_DEVICE, &set->data);
    if (result || set->data->mapped)
        return result;
    result = stream_take(stream, sizes->inputs, GPU_MEMORY_UPLOAD, &set->upload);
    if (!result)
        result = stream_take(stream, sizes->outputs, GPU_MEMORY_READBACK, &set->readback);
    return result;
}

static void drop_commands(struct stream *stream, struct stream_set *set)
{
    gpu_commands_destroy(set->copy_in);
    gpu_commands_destroy(set->copy_out);
    set->copy_in = set->copy_out = NULL;
    if (set->plan)
        stream->taken -= plan_scratch_bytes(set->plan);
    plan_destroy(set->plan);
    set->plan = NULL;
    graph_finish(&set->graph);
    graph_init(&set->graph);
}

void stream_set_finish(struct stream *stream, struct stream_set *set)
{
    drop_commands(stream, set);
    graph_finish(&set->graph);
    gpu_buffer_destroy(set->readback);
    gpu_buffer_destroy(set->upload);
    gpu_buffer_destroy(set->data);
    *set = (struct stream_set){0};
}

/* ---- commands ---- */

/* A list of one copy. */
static status record_copy(struct gpu_buffer *source, uint64_t from, struct gpu_buffer *target,
                          uint64_t to, uint64_t bytes, struct gpu_commands **out)
{
    status result = gpu_commands_create(source->device, NULL, out);
    if (!result)
        result = gpu_commands_copy(*out, source, from, target, to, bytes);
    return result ? result : gpu_commands_end(*out);
}

static status record_copies(struct stream_set *set)
{
    uint64_t inputs = set->memory.input_bytes;
    if (!set->upload)
        return STATUS_OK;
    status result = record_copy(set->upload, 0, set->data, 0, inputs, &set->copy_in);
    if (!result && set->piece.queries)
        result = record_copy(set->data, inputs, set->readback, 0, set->memory.bytes - inputs,
                             &set->copy_out);
    return result;
}

static status make_plan(struct stream *stream, struct stream_set *set,
                        const tensor_id tensors[STREAM_TENSORS])
{
    struct adamra_context *context = stream->context;
    const struct plan_params params = {.candidate = context->candidate};
    struct plan_binding *bindings = calloc(set->graph.tensor_count, sizeof(*bindings));
    if (!bindings)
        return fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for bindings");
    for (uint32_t i = 0; i < STREAM_TENSORS; i++) {
        if (tensors[i] == NO_TENSOR)
            continue;
        struct plan_binding *binding = &bindings[tensors[i]];
        if (i == STREAM_STATES)
            binding->buffer = stream->states;
        else if (i == STREAM_PARTIALS)
            binding->buffer = stream->partials;
        else
            *binding = (struct plan_binding){.buffer = set->data, .offset = set->memory.offsets[i]};
    }
    status result = plan_create(context->device, &set->graph, bindings, &params, &set->plan);
    free(bindings);
    if (result)
        return result;
    /* stream_layout_init has measured the scratch of queries, and counts on none of keys. */
    assert(set->piece.queries || plan_scratch_bytes(set->plan) == 0);
    stream->taken += plan_scratch_bytes(set->plan);
    stream->most = size_max(stream->most, stream->taken);
    return STATUS_OK;
}

static status record(struct stream *stream, struct stream_set *set,
                     const struct stream_piece *piece)
{
    tensor_id tensors[STREAM_TENSORS];
    bool same = set->plan && stream_same_graph(&set->piece, piece);
    set->piece = *piece;
    if (same)
        return STATUS_OK;
    drop_commands(stream, set);
    stream_memory_init(&stream->layout, piece, &set->memory);
    status result = stream_graph(&stream->layout, piece, &set->memory, &set->graph, tensors);
    if (result)
        return fail(&stream->context->log, result, "no memory for the graph of an attention");
    result = record_copies(set);
    return result ? result : make_plan(stream, set, tensors);
}

/* ---- runs ---- */

/* The lists of a piece, in their order; entries may be NULL. */
enum { LISTS = 3 };

static void get_lists(const struct stream_set *set, struct gpu_commands *lists[LISTS])
{
    lists[0] = set->copy_in;
    lists[1] = plan_commands(set->plan);
    lists[2] = set->copy_out;
}

status stream_set_start(struct stream *stream, struct stream_set *set,
                        const struct stream_piece *piece)
{
    struct gpu_commands *lists[LISTS];
    struct gpu_buffer *target = set->upload ? set->upload : set->data;
    assert(!set->busy);
    status result = record(stream, set, piece);
    if (result)
        return result;
    stream_copy_in(&stream->layout, piece, &set->memory, stream->io, target->mapped);
    result = gpu_buffer_flush(target, 0, set->memory.input_bytes);
    if (!result)
        result = plan_refresh(set->plan);
    get_lists(set, lists);
    for (uint32_t i = 0; i < LISTS && !result; i++)
        if (lists[i])
            result = gpu_commands_submit(lists[i]);
    set->busy = !result;
    return result;
}

static status copy_out(struct stream *stream, struct stream_set *set)
{
    struct gpu_buffer *source = set->readback ? set->readback : set->data;
    uint64_t at = set->readback ? 0 : set->memory.input_bytes;
    uint64_t bytes = set->memory.bytes - set->memory.input_bytes;
    if (!set->piece.queries)
        return STATUS_OK;
    status result = gpu_buffer_invalidate(source, at, bytes);
    if (!result)
        stream_copy_out(&stream->layout, &set->piece, &set->memory, stream->io,
                        source->mapped + at);
    return result;
}

status stream_set_wait(struct stream *stream, struct stream_set *set, adamra_timing *timing)
{
    struct gpu_commands *lists[LISTS];
    status result = STATUS_OK;
    assert(set->busy);
    get_lists(set, lists);
    for (uint32_t i = 0; i < LISTS; i++) {
        double ms = 0;
        if (!lists[i])
            continue;
        status waited = gpu_commands_wait(lists[i], &ms);
        result = result ? result : waited;
        timing->submissions += gpu_commands_submissions(lists[i]);
        timing->device_ms = ms < 0 || timing->device_ms < 0 ? -1 : timing->device_ms + ms;
    }
    set->busy = false;
    return result ? result : copy_out(stream, set);
}
