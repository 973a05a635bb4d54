/* Any parameters of an attention, and any tensors for a run of it, are checked before a device sees
 * them. What passes lies within its buffers, by a plain count of every dimension, and y lies apart
 * from the inputs. No device. */
#include "attention.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

typedef unsigned __int128 wide;

struct reader {
    const uint8_t *bytes;
    size_t left;
};

static uint8_t next_byte(struct reader *reader)
{
    if (reader->left == 0)
        return 0;
    reader->left--;
    return *reader->bytes++;
}

/* Mostly small; the rest near powers of two, where products and sums overflow. */
static uint64_t next_number(struct reader *reader)
{
    uint8_t kind = next_byte(reader), value = next_byte(reader);
    return kind < 192 ? value : (UINT64_C(1) << (kind & 63)) + value - 128;
}

static uint32_t next_size(struct reader *reader)
{
    return (uint32_t)next_number(reader);
}

/* ---- parameters ---- */

static void read_params(struct reader *reader, adamra_attention_params *params, uint32_t *rates,
                        adamra_bigbird *bigbird)
{
    static const char *const kinds[] = {NULL, "adamra", "softmax", "linear", "bigbird", "none", ""};
    *params = (adamra_attention_params){.kind = kinds[next_byte(reader) % ARRAY_SIZE(kinds)],
                                        .batch = next_size(reader),
                                        .groups = next_size(reader),
                                        .queries = next_size(reader),
                                        .keys = next_size(reader),
                                        .key_width = next_size(reader),
                                        .value_width = next_size(reader),
                                        .heads = next_size(reader),
                                        .shared_keys = next_byte(reader) & 1,
                                        .shared_values = next_byte(reader) & 1,
                                        .routing = (adamra_routing)(next_byte(reader) % 5 - 1),
                                        .feature_map = (adamra_feature_map)(next_byte(reader) % 3),
                                        .pooling = (adamra_pooling)(next_byte(reader) % 3),
                                        .router = (adamra_router)(next_byte(reader) % 3),
                                        .type = (adamra_type)(next_byte(reader) % 3)};
    uint32_t eps = next_size(reader);
    memcpy(&params->eps, &eps, sizeof(eps));
    for (uint32_t i = 0; i < ADAMRA_MAX_HEADS; i++)
        rates[i] = next_size(reader);
    params->rates = next_byte(reader) % 8 ? rates : NULL;
    *bigbird = (adamra_bigbird){next_size(reader), next_size(reader), next_size(reader),
                                next_size(reader), next_size(reader)};
    params->bigbird = next_byte(reader) % 2 ? bigbird : NULL;
}

/* Sizes for which counting operations takes no time to speak of. */
static bool is_quick(const adamra_attention_params *params)
{
    return !params->kind || strcmp(params->kind, "bigbird") != 0 || params->queries <= 65536;
}

/* ---- tensors ---- */

#define TENSORS 5

static float host_memory; /* never read: only checked to be there */

static adamra_tensor read_tensor(struct reader *reader, struct adamra_buffer *buffer)
{
    adamra_tensor tensor = {0};
    uint8_t kind = next_byte(reader);
    if (kind & 1)
        tensor.buffer = buffer;
    if (kind % 8 == 2)
        tensor.data = &host_memory;
    if (kind & 16)
        tensor.strides = (adamra_strides){4 * next_number(reader), 4 * next_number(reader),
                                          4 * next_number(reader), 4 * next_number(reader)};
    tensor.strides.row += kind & 32 ? 1 : 0;
    tensor.offset = next_number(reader) * 16 + (kind & 64 ? 4 : 0);
    return tensor;
}

/* Bytes [*begin, *end) of its buffer that a tensor reaches, in numbers that cannot overflow. */
static void reach(const struct slot *slot, const adamra_tensor *tensor, wide *begin, wide *end)
{
    const uint64_t steps[SLOT_DIMS] = {tensor->strides.batch, tensor->strides.group,
                                       tensor->strides.head, tensor->strides.row};
    wide last = 0;
    *begin = *end = tensor->offset;
    if (slot->rows == 0)
        return;
    if (slot_is_tight(&tensor->strides))
        last = (wide)(slot->rows - 1) * slot->width;
    else
        for (uint32_t i = 0; i < SLOT_DIMS; i++)
            last += slot->dims[i] > 1 ? (wide)(slot->dims[i] - 1) * steps[i] : 0;
    *end += (last + slot->width) * element_bytes(slot->type);
}

static bool is_within(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    const struct slot *slots = attention->form.slots;
    adamra_tensor y = attention_io_tensor(io, SLOT_Y);
    wide y_begin, y_end, begin, end;
    reach(&slots[SLOT_Y], &y, &y_begin, &y_end);
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++) {
        adamra_tensor tensor = attention_io_tensor(io, i);
        if (!tensor.buffer || slots[i].rows == 0)
            continue;
        reach(&slots[i], &tensor, &begin, &end);
        if (end > tensor.buffer->memory->size)
            return false;
        if (i != SLOT_Y && slots[SLOT_Y].rows && tensor.buffer == y.buffer && begin < y_end &&
            y_begin < end)
            return false;
    }
    return true;
}

/* ---- the graph ---- */

static void build(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct graph graph;
    tensor_id tensors[SLOT_COUNT];
    struct attention_variant variant = attention_io_variant(&attention->form, io);
    graph_init(&graph);
    status result = attention_form_build(&attention->form, &variant, &graph, tensors);
    if (result == STATUS_OK && tensors[SLOT_Y] == NO_TENSOR)
        __builtin_trap();
    graph_finish(&graph);
}

static void check_run(struct adamra_attention *attention, struct reader *reader)
{
    struct gpu_buffer memories[2] = {{.size = next_number(reader)}, {.size = next_number(reader)}};
    struct adamra_buffer buffers[2] = {{attention->context, &memories[0], 1},
                                       {attention->context, &memories[1], 2}};
    adamra_tensor tensors[TENSORS];
    uint8_t choice = next_byte(reader);
    memories[0].handle = (VkBuffer)(uintptr_t)16;
    memories[1].handle = (VkBuffer)(uintptr_t)32;
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = read_tensor(reader, &buffers[choice >> i & 1]);
    adamra_attention_io io = {
        .q = tensors[0], .k = tensors[1], .v = tensors[2], .router_logits = tensors[3]};
    io.y = (adamra_output){choice & 32 ? &host_memory : NULL, tensors[4].buffer, tensors[4].offset,
                           tensors[4].strides};
    io.router_weight.data = choice & 64 ? &host_memory : NULL;
    io.head = choice & 128 ? (int32_t *)&host_memory : NULL;
    attention->context->log.error[0] = 0;
    if (attention_check_io(attention, &io)) {
        if (!attention->context->log.error[0])
            __builtin_trap();
    } else {
        if (!is_within(attention, &io))
            __builtin_trap();
        build(attention, &io);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader reader = {bytes, size};
    struct adamra_context context = {0};
    struct adamra_attention attention = {.context = &context};
    adamra_attention_params params;
    adamra_bigbird bigbird;
    uint32_t rates[ADAMRA_MAX_HEADS];
    read_params(&reader, &params, rates, &bigbird);
    if (!is_quick(&params))
        return 0;
    if (attention_form_init(&context.log, &params, &attention.form)) {
        if (!context.log.error[0])
            __builtin_trap();
        return 0;
    }
    check_run(&attention, &reader);
    return 0;
}
