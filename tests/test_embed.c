/* embed: adamra as a guest: on the program's Vulkan objects, over its buffers and its memory. */
#include "attention_cases.h"
#include "context.h"
#include "host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"adamra", "linear", "softmax", "bigbird"};

/* ---- the context ---- */

/* Runs the case on both contexts; the results must be the same to the bit. */
static void compare_contexts(adamra_context *a, adamra_context *b, const struct attention_case *c,
                             adamra_type type)
{
    struct attention_result first, second;
    attention_result_init(&first, c);
    attention_result_init(&second, c);
    attention_case_run(a, c, type, &first, NULL);
    attention_case_run(b, c, type, &second, NULL);
    ck_assert_msg(!memcmp(first.y, second.y, attention_case_outputs(c) * sizeof(float)),
                  "%s: contexts disagree", c->name);
    attention_result_finish(&first);
    attention_result_finish(&second);
}

START_TEST(contexts_share_a_device)
{
    struct host host;
    struct random random = random_seed(test_seed() + 20);
    host_init(&host, HOST_FEATURES);
    adamra_context *contexts[] = {host_context(&host), host_context(&host)};
    for (size_t i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
        struct attention_case c;
        attention_case_random(&c, &random, kinds[i % ARRAY_SIZE(kinds)]);
        compare_contexts(contexts[0], contexts[1], &c, i % 2 ? ADAMRA_F16 : ADAMRA_F32);
        compare_contexts(contexts[1], attention_context(), &c, i % 2 ? ADAMRA_F16 : ADAMRA_F32);
        attention_case_finish(&c);
    }
    /* The other one is not hurt when one goes. */
    adamra_context_destroy(contexts[0]);
    struct attention_case c;
    attention_case_random(&c, &random, "adamra");
    compare_contexts(contexts[1], attention_context(), &c, ADAMRA_F32);
    attention_case_finish(&c);
    adamra_context_destroy(contexts[1]);
    host_finish(&host);
}
END_TEST

/* Locks that one run takes. */
static uint32_t count_locks(struct host *host, adamra_context *context,
                            const struct attention_case *c, adamra_timing *timing)
{
    struct attention_result result;
    const uint32_t before = host->locks;
    attention_result_init(&result, c);
    attention_case_run(context, c, ADAMRA_F32, &result, timing);
    attention_result_finish(&result);
    return host->locks - before;
}

/* Not mapped, memory goes through staging copies, which use the queue too. */
START_TEST(every_use_of_the_queue_is_locked)
{
    struct host host;
    struct random random = random_seed(test_seed() + 21);
    adamra_timing timing;
    host_init(&host, HOST_PLAIN);
    adamra_context *context = host_context(&host);
    struct attention_case c;
    attention_case_random(&c, &random, "adamra");
    ck_assert_uint_eq(host.locks, 0);
    if (context->device->features.unified) {
        uint32_t mapped = count_locks(&host, context, &c, &timing);
        ck_assert_uint_eq(mapped, timing.submissions);
    }
    context->device->features.unified = false;
    uint32_t staged = count_locks(&host, context, &c, &timing);
    /* At least q, k and v in, and y out, besides the runs. */
    ck_assert_uint_ge(staged, timing.submissions + 4);
    attention_case_finish(&c);
    adamra_context_destroy(context);
    host_finish(&host);
}
END_TEST

/* ---- refusals ---- */

static void keep_line(void *user, adamra_log_level level, const char *text)
{
    if (level == ADAMRA_LOG_ERROR)
        snprintf(user, 256, "%s", text);
}

static void refuse(const adamra_vulkan *vulkan, adamra_context_params params, const char *message)
{
    char line[256] = "";
    adamra_context *context = (adamra_context *)&line; /* to be made NULL */
    params.vulkan = vulkan;
    params.log = keep_line;
    params.user = line;
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_null(context);
    ck_assert_msg(strstr(line, message) != NULL, "expected \"%s\" in \"%s\"", message, line);
}

START_TEST(wrong_objects_are_refused)
{
    struct host host;
    host_init(&host, HOST_PLAIN);
    const adamra_context_params none = {0};
    adamra_vulkan vulkan = host.vulkan;
#define REFUSE(field, value, message)                                                              \
    vulkan.field = (value);                                                                        \
    refuse(&vulkan, none, message);                                                                \
    vulkan.field = host.vulkan.field
    REFUSE(instance, VK_NULL_HANDLE, "expected an instance");
    REFUSE(physical_device, VK_NULL_HANDLE, "expected a physical device");
    REFUSE(device, VK_NULL_HANDLE, "expected a device");
    REFUSE(queue, VK_NULL_HANDLE, "expected a queue");
    REFUSE(api_version, VK_API_VERSION_1_0, "api_version: expected");
    REFUSE(api_version, 0, "api_version: expected");
    REFUSE(queue_family, 99, "queue_family: expected");
    REFUSE(unlock, NULL, "lock, unlock: expected");
    refuse(&vulkan, (adamra_context_params){.device = "0"}, "device, validate: expected");
    refuse(&vulkan, (adamra_context_params){.validate = 1}, "device, validate: expected");
    host_finish(&host);
}
END_TEST

/* ---- buffers ---- */

/* Where a tensor lies in a buffer: [B, rows, G, H, width], each row followed by a gap. */
struct place {
    uint64_t offset; /* bytes */
    adamra_strides strides;
    uint64_t bytes; /* from the offset on */
};

struct dims {
    uint32_t batch, groups, heads, rows, width;
};

static struct place place_after(uint64_t end, const struct dims *dims, uint32_t gap, size_t item)
{
    struct place place = {.offset = (end + 31) / 16 * 16};
    place.strides.head = dims->width + gap;
    place.strides.group = dims->heads * place.strides.head;
    place.strides.row = dims->groups * place.strides.group;
    place.strides.batch = dims->rows * place.strides.row;
    place.bytes = dims->batch * place.strides.batch * item;
    return place;
}

/* Copies between tight floats and a placed tensor; `out` true: from the buffer. */
static void copy_placed(const struct dims *dims, const struct place *place, adamra_type type,
                        uint8_t *buffer, float *tight, bool out)
{
    size_t item = type == ADAMRA_F16 ? 2 : 4;
    for (uint64_t row = 0; row < (uint64_t)dims->batch * dims->groups * dims->heads * dims->rows;
         row++, tight += dims->width) {
        uint64_t i = row % dims->rows, h = row / dims->rows % dims->heads;
        uint64_t bg = row / dims->rows / dims->heads, g = bg % dims->groups, b = bg / dims->groups;
        uint8_t *at = buffer + place->offset +
                      item * (b * place->strides.batch + g * place->strides.group +
                              h * place->strides.head + i * place->strides.row);
        if (out && type == ADAMRA_F16)
            half_to_floats(tight, (uint16_t *)at, dims->width);
        else if (out)
            memcpy(tight, at, dims->width * sizeof(float));
        else if (type == ADAMRA_F16)
            half_from_floats((uint16_t *)at, tight, dims->width);
        else
            memcpy(at, tight, dims->width * sizeof(float));
    }
}

/* A case's tensors in one buffer of the host's, with gaps of `gap` numbers between rows. */
struct placed_case {
    struct dims dims[4]; /* q, k, v, y */
    struct place places[4];
    uint64_t size;
};

static struct placed_case place_case(const struct attention_case *c, adamra_type type, uint32_t gap)
{
    const adamra_attention_params *p = &c->params;
    bool plain = p->kind && strcmp(p->kind, "adamra") != 0;
    uint32_t heads = plain ? 1 : p->heads;
    uint32_t streams = plain || p->routing != ADAMRA_NONE ? 1 : heads;
    uint32_t B = p->batch ? p->batch : 1, G = p->groups ? p->groups : 1;
    struct placed_case placed = {
        .dims = {{B, G, streams, p->queries, p->key_width},
                 {B, G, p->shared_keys ? 1 : heads, p->keys, p->key_width},
                 {B, G, p->shared_values ? 1 : heads, p->keys, p->value_width},
                 {B, G, streams, p->queries, p->value_width}}};
    for (uint32_t i = 0; i < 4; i++) {
        placed.places[i] =
            place_after(placed.size, &placed.dims[i], gap, type == ADAMRA_F16 ? 2 : 4);
        placed.size = placed.places[i].offset + placed.places[i].bytes;
    }
    placed.size += 12; /* no multiple of 16 */
    placed.size = placed.size / 4 * 4;
    return placed;
}

/* Runs the case over one buffer. */
static void run_placed(struct host *host, adamra_context *context, const struct attention_case *c,
                       adamra_type type, struct attention_result *result)
{
    struct placed_case placed = place_case(c, type, 4);
    struct host_buffer memory = host_buffer(host, placed.size, HOST_ALL_USAGES);
    adamra_buffer *buffer = host_wrap(context, &memory);
    adamra_attention_params params = c->params;
    adamra_attention_io io = attention_case_io(c, result);
    float *const tight[] = {c->q, c->k, c->v};
    memset(memory.mapped, 0x7b, memory.size); /* what is in gaps stays there */
    for (uint32_t i = 0; i < 3; i++)
        copy_placed(&placed.dims[i], &placed.places[i], type, memory.mapped, tight[i], false);
    io.q = (adamra_tensor){NULL, buffer, placed.places[0].offset, placed.places[0].strides};
    io.k = (adamra_tensor){NULL, buffer, placed.places[1].offset, placed.places[1].strides};
    io.v = (adamra_tensor){NULL, buffer, placed.places[2].offset, placed.places[2].strides};
    io.y = (adamra_output){NULL, buffer, placed.places[3].offset, placed.places[3].strides};
    params.type = type;
    adamra_attention *attention;
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s: %s", c->name,
                  adamra_error(context));
    adamra_attention_destroy(attention);
    adamra_buffer_destroy(buffer);
    copy_placed(&placed.dims[3], &placed.places[3], type, memory.mapped, result->y, true);
    const uint8_t *bytes = memory.mapped;
    uint64_t row_end =
        placed.places[3].offset + placed.dims[3].width * (uint64_t)(type == ADAMRA_F16 ? 2 : 4);
    ck_assert_int_eq(bytes[row_end], 0x7b);
    ck_assert_int_eq(bytes[placed.places[3].offset - 1], 0x7b);
    ck_assert_int_eq(bytes[memory.size - 1], 0x7b);
    host_buffer_finish(host, &memory);
}

/* A random case whose widths are whole quads. */
static void draw_quads(struct attention_case *c, struct random *random, const char *kind)
{
    attention_case_random(c, random, kind);
    while (c->params.key_width % 4 || c->params.value_width % 4 || !c->params.queries ||
           !c->params.keys) {
        attention_case_finish(c);
        attention_case_random(c, random, kind);
    }
}

START_TEST(strides_and_offsets_change_no_bit)
{
    struct host host;
    struct random random = random_seed(test_seed() + 22);
    host_init(&host, HOST_FEATURES);
    adamra_context *context = host_context(&host);
    for (size_t i = 0; i < 8 * ARRAY_SIZE(kinds); i++) {
        struct attention_case c;
        struct attention_result tight, placed;
        adamra_type type = i % 2 ? ADAMRA_F16 : ADAMRA_F32;
        draw_quads(&c, &random, kinds[i / 2 % ARRAY_SIZE(kinds)]);
        attention_result_init(&tight, &c);
        attention_result_init(&placed, &c);
        attention_case_run(context, &c, type, &tight, NULL);
        run_placed(&host, context, &c, type, &placed);
        ck_assert_msg(!memcmp(tight.y, placed.y, attention_case_outputs(&c) * sizeof(float)),
                      "%s: strides change y", c.name);
        attention_result_finish(&tight);
        attention_result_finish(&placed);
        attention_case_finish(&c);
    }
    adamra_context_destroy(context);
    host_finish(&host);
}
END_TEST

START_TEST(copies_need_transfer_usage)
{
    struct host host;
    float numbers[8] = {1, 2, 3}, back[8] = {0};
    host_init(&host, HOST_PLAIN);
    adamra_context *context = host_context(&host);
    struct host_buffer plain = host_buffer(&host, 32, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    struct host_buffer full = host_buffer(&host, 32, HOST_ALL_USAGES);
    adamra_buffer *buffers[] = {host_wrap(context, &plain), host_wrap(context, &full)};
    ck_assert_int_eq(adamra_buffer_write(buffers[0], 0, numbers, 32), ADAMRA_UNSUPPORTED);
    ck_assert_int_eq(adamra_buffer_read(buffers[0], 0, numbers, 32), ADAMRA_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "TRANSFER_SRC"));
    ck_assert_int_eq(adamra_buffer_write(buffers[1], 0, numbers, 32), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_read(buffers[1], 0, back, 32), ADAMRA_OK);
    ck_assert_mem_eq(numbers, back, sizeof(numbers));
    ck_assert_mem_eq(numbers, full.mapped, sizeof(numbers));
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        adamra_buffer_destroy(buffers[i]);
    host_buffer_finish(&host, &plain);
    host_buffer_finish(&host, &full);
    adamra_context_destroy(context);
    host_finish(&host);
}
END_TEST

Suite *embed_suite(void)
{
    Suite *suite = suite_create("embed");
    TCase *objects = tcase_create("objects"), *buffers = tcase_create("buffers");
    tcase_set_tags(objects, "host");
    tcase_set_tags(buffers, "host");
    tcase_set_timeout(objects, 300);
    tcase_set_timeout(buffers, 300);
    tcase_add_test(objects, contexts_share_a_device);
    tcase_add_test(objects, every_use_of_the_queue_is_locked);
    tcase_add_test(objects, wrong_objects_are_refused);
    tcase_add_test(buffers, strides_and_offsets_change_no_bit);
    tcase_add_test(buffers, copies_need_transfer_usage);
    suite_add_tcase(suite, objects);
    suite_add_tcase(suite, buffers);
    return suite;
}
