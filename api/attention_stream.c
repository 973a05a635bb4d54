/* Two pieces are on their way at a time: while the device works on one, the host copies out and in
 * what the other has. The lists of a run execute in order, so that all pieces share the states. */
#include "attention_stream.h"
#include "stream_set.h"
#include <math.h>

#define SETS 2

/* ---- whether ---- */

static bool can_stream(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++)
        if (attention->form.slots[i].rows && attention_io_tensor(io, i).buffer)
            return false;
    return attention->form.kind->pieces != NULL;
}

/* Scratch of the plan that a run in one piece has. */
static status scratch_bytes(struct adamra_attention *attention,
                            const struct attention_variant *variant, uint64_t *bytes)
{
    struct logger *log = &attention->context->log;
    struct graph graph;
    tensor_id tensors[SLOT_COUNT];
    graph_init(&graph);
    status result = attention_form_build(&attention->form, variant, &graph, tensors);
    if (result)
        fail(log, result, "no memory for the graph of an attention");
    else
        result = plan_measure(log, &graph, bytes);
    graph_finish(&graph);
    return result;
}

status attention_must_stream(struct adamra_attention *attention, const adamra_attention_io *io,
                             const struct attention_variant *variant, bool *stream)
{
    struct gpu_device *device = attention->context->device;
    const uint64_t most = device->limits.allocation_bytes;
    uint64_t needed = 0, largest = 0, scratch = 0;
    bool planned = attention->plan && attention_variant_equal(&attention->variant, variant);
    *stream = false;
    if (!can_stream(attention, io))
        return STATUS_OK;
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        if (!attention->form.slots[i].used || (slot_is_route(i) && !variant->route) ||
            attention->own[i])
            continue;
        uint64_t bytes = slot_bytes(&attention->form.slots[i]);
        largest = size_max(largest, bytes);
        needed += size_round_up(bytes, STREAM_ALIGNMENT);
    }
    if (planned && !needed)
        return STATUS_OK;
    status result = scratch_bytes(attention, variant, &scratch);
    uint64_t free = gpu_memory_free(device);
    if (attention->plan)
        free += plan_scratch_bytes(attention->plan);
    if (device->max_memory) /* else they are taken from the host's memory */
        needed += gpu_staging_missing(device);
    *stream = size_max(largest, scratch) > most || needed + scratch > gpu_memory_usable(free);
    return result;
}

/* ---- a run ---- */

/* Bytes of the largest pieces, and of all together, which is what progress is counted in. */
static struct stream_sizes count_pieces(const struct stream_layout *layout, uint64_t *states,
                                        uint64_t *partials, double *all)
{
    struct stream_sizes sizes = {0};
    struct stream_memory memory;
    struct stream_piece piece;
    *states = *partials = 0;
    *all = 0;
    stream_first(layout, &piece);
    do {
        stream_memory_init(layout, &piece, &memory);
        sizes.data = size_max(sizes.data, memory.bytes);
        sizes.inputs = size_max(sizes.inputs, memory.input_bytes);
        sizes.outputs = size_max(sizes.outputs, memory.bytes - memory.input_bytes);
        *states = size_max(*states, stream_state_bytes(layout, &piece));
        if (!piece.queries)
            *partials = size_max(*partials, stream_partial_bytes(layout, &piece));
        *all += (double)memory.bytes;
    } while (stream_next(layout, &piece));
    return sizes;
}

/* Lists of two pieces are on their way, and to submit one may mean to wait for another: what is
 * said of one piece may lie behind what was said of the next. */
static int tell_most(void *user, double done)
{
    struct stream *stream = user;
    stream->told = fmax(stream->told, done);
    if (!stream->stopped) /* who has cancelled is told no more */
        stream->stopped = stream->progress(stream->progress_user, stream->told) != 0;
    return stream->stopped;
}

/* Says of which part of the run lists report how far they are. */
static void set_progress(struct stream *stream, const struct stream_set *set)
{
    struct gpu_device *device = stream->context->device;
    device->progress_from = set->from;
    device->progress_to = set->to;
}

static status wait_piece(struct stream *stream, struct stream_set *set, adamra_timing *timing)
{
    if (!set->busy)
        return STATUS_OK;
    set_progress(stream, set);
    status result = stream_set_wait(stream, set, timing);
    if (!result && set->to < 1)
        result = gpu_progress(stream->context->device, 1);
    return result;
}

/* all: bytes of all pieces. */
static status run_pieces(struct stream *stream, struct stream_set sets[SETS], double all,
                         adamra_timing *timing)
{
    struct stream_piece piece;
    struct stream_memory memory;
    struct stream_set *next = &sets[0], *other = &sets[1];
    status result = STATUS_OK;
    double done = 0;
    stream_first(&stream->layout, &piece);
    do {
        double from = done;
        stream_memory_init(&stream->layout, &piece, &memory);
        done += (double)memory.bytes;
        if (stream_is_empty(&stream->layout, &piece)) {
            stream_copy_zeros(&stream->layout, &piece, &memory, stream->io);
            continue;
        }
        result = wait_piece(stream, next, timing);
        /* To submit a piece may mean to wait for the rest of the one before it. */
        set_progress(stream, other);
        if (!result)
            result = stream_set_start(stream, next, &piece);
        next->from = from / all;
        next->to = done / all;
        struct stream_set *started = next;
        next = other;
        other = started;
    } while (!result && stream_next(&stream->layout, &piece));
    for (uint32_t i = 0; i < SETS && !result; i++)
        result = wait_piece(stream, i ? other : next, timing);
    return result;
}

static status run_all(struct stream *stream, struct stream_set sets[SETS], double all,
                      adamra_timing *timing)
{
    struct gpu_device *device = stream->context->device;
    stream->progress = device->progress;
    stream->progress_user = device->progress_user;
    if (stream->progress) {
        device->progress = tell_most;
        device->progress_user = stream;
    }
    status result = run_pieces(stream, sets, all, timing);
    device->progress = stream->progress;
    device->progress_user = stream->progress_user;
    return result;
}

/* A bound that the caller has set holds; the driver's estimate of what is free need not. */
static status make_layout(struct stream *stream, const struct attention_form *form, bool *refused)
{
    struct adamra_context *context = stream->context;
    struct gpu_device *device = context->device;
    const bool estimated = !device->max_memory;
    const struct stream_limits limits = {.memory = gpu_memory_free(device),
                                         .allocation = device->limits.allocation_bytes,
                                         .staged = !device->features.unified};
    context->failures_held = estimated;
    status result =
        stream_layout_init(&context->log, form, stream->io, &limits, &stream->layout);
    context->failures_held = false;
    *refused = estimated && result == STATUS_OUT_OF_DEVICE_MEMORY;
    return estimated && result && !*refused
               ? fail(&context->log, result, "%s", context->log.error)
               : result;
}

status attention_stream(struct adamra_attention *attention, const adamra_attention_io *io,
                        adamra_timing *timing, bool *refused)
{
    struct gpu_device *device = attention->context->device;
    struct stream stream = {.context = attention->context, .io = io};
    struct stream_set sets[SETS] = {0};
    uint64_t states, partials;
    double all;
    attention_drop_memory(attention);
    status result = make_layout(&stream, &attention->form, refused);
    if (result)
        return result;
    struct stream_sizes sizes = count_pieces(&stream.layout, &states, &partials, &all);
    result = stream_take(&stream, states, GPU_MEMORY_DEVICE, &stream.states);
    if (!result && partials)
        result = stream_take(&stream, partials, GPU_MEMORY_DEVICE, &stream.partials);
    for (uint32_t i = 0; i < SETS && !result; i++)
        result = stream_set_init(&stream, &sizes, &sets[i]);
    if (!result)
        result = run_all(&stream, sets, all, timing);
    for (uint32_t i = 0; i < SETS; i++)
        stream_set_finish(&stream, &sets[i]);
    gpu_buffer_destroy(stream.partials);
    gpu_buffer_destroy(stream.states);
    device->progress_from = 0;
    device->progress_to = 1;
    timing->extra_bytes = stream.most;
    timing->streamed = 1;
    return result;
}
