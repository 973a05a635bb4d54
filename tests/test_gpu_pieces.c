/* gpu_pieces: dispatches cut where a limit asks for it, on the device and, for sizes that no test
 * machine has, on one that is made up. */
#include "gpu/commands.h"
#include "gpu_cases.h"
#include <stdlib.h>
#include <string.h>

/* ---- on the device ---- */

#define ROWS 3000
#define SIZE (ROWS * UINT64_C(16)) /* 47 items */
#define PAD  80                    /* a multiple of 16 only */

static const struct {
    const char *name;
    uint64_t storage_range; /* 0: as it is */
    uint32_t groups_x, groups_y;
    uint64_t buffer_offset;
    uint32_t least; /* pieces */
} limits[] = {
    {"none", 0, 0, 0, 0, 1},
    {"range of one item", DOUBLE_ITEM_SIZE + 256, 0, 0, 0, 47},
    {"range of some items", 10000, 0, 0, 0, 5},
    {"range that is no multiple of 16", 5003, 0, 0, 0, 10},
    {"coarse views", 8192, 0, 0, 4096, 6},
    {"one group at a time", 0, 1, 1, 0, 47},
    {"rows of groups", 0, 5, 65535, 0, 1},
    {"few rows of groups", 0, 5, 2, 0, 5},
    {"range and groups", 4096, 2, 1, 0, 24},
};

static void lower_limits(int row)
{
    struct gpu_limits *kept = &test_device->limits;
    if (limits[row].storage_range)
        kept->storage_range = limits[row].storage_range;
    if (limits[row].groups_x) {
        kept->groups[0] = limits[row].groups_x;
        kept->groups[1] = limits[row].groups_y;
    }
    kept->buffer_offset = size_max(kept->buffer_offset, limits[row].buffer_offset);
}

START_TEST(pieces_give_the_same_bytes)
{
    struct doubling doubling;
    struct gpu_commands *commands;
    struct gpu_buffer *a = device_buffer(SIZE + 2 * PAD), *c = device_buffer(SIZE + 2 * PAD);
    float *in = calloc(1, SIZE + 2 * PAD), *out = malloc(SIZE + 2 * PAD);
    ck_assert(in && out);
    for (size_t i = 0; i < (SIZE + 2 * PAD) / sizeof(float); i++)
        in[i] = (float)i;
    ck_assert_ok(gpu_buffer_write(a, 0, in, SIZE + 2 * PAD));
    ck_assert_ok(gpu_buffer_write(c, 0, in, SIZE + 2 * PAD));
    lower_limits(_i);
    doubling_init(&doubling);
    doubling_set(&doubling, a, PAD, c, PAD, SIZE);
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
    ck_assert_msg(gpu_commands_dispatches(commands) >= limits[_i].least &&
                      gpu_commands_dispatches(commands) <= 47,
                  "%s: %u pieces", limits[_i].name, gpu_commands_dispatches(commands));
    /* Views of neighbours overlap only where the alignment is coarser than pieces. */
    uint64_t step = test_device->limits.buffer_offset;
    bool apart = DOUBLE_ITEM_SIZE % step == 0 && PAD % step == 0;
    ck_assert_uint_le(gpu_commands_barriers(commands),
                      apart ? 0 : gpu_commands_dispatches(commands) - 1);
    ck_assert_uint_le(commands->touches.count, 3); /* a range a binding, not one a piece */
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_ok(gpu_buffer_read(c, 0, out, SIZE + 2 * PAD));
    for (size_t i = 0; i < (SIZE + 2 * PAD) / sizeof(float); i++) {
        bool inside = i >= PAD / sizeof(float) && i < (SIZE + PAD) / sizeof(float);
        ck_assert_msg(out[i] == (inside ? 2 : 1) * in[i], "%s: float %zu is %g", limits[_i].name, i,
                      (double)out[i]);
    }
    gpu_commands_destroy(commands);
    gpu_buffer_destroy(a);
    gpu_buffer_destroy(c);
    gpu_buffer_destroy(doubling.weights);
    free(in);
    free(out);
}
END_TEST

START_TEST(item_that_does_not_fit_is_refused)
{
    struct doubling doubling;
    struct gpu_commands *commands;
    struct gpu_buffer *a = device_buffer(SIZE), *c = device_buffer(SIZE);
    doubling_init(&doubling);
    doubling_set(&doubling, a, 0, c, 0, SIZE);
    test_device->limits.storage_range = DOUBLE_ITEM_SIZE - 16;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    ck_assert_fails(gpu_commands_dispatch(commands, &doubling.dispatch), STATUS_UNSUPPORTED,
                    "double: one item needs 1024 bytes of binding 0, ");
    /* Without a span every item needs all of every binding. */
    test_device->limits.storage_range = SIZE - 16;
    doubling.dispatch.span = NULL;
    ck_assert_fails(gpu_commands_dispatch(commands, &doubling.dispatch), STATUS_UNSUPPORTED,
                    "one item needs ");
    gpu_commands_destroy(commands);
    gpu_buffer_destroy(a);
    gpu_buffer_destroy(c);
    gpu_buffer_destroy(doubling.weights);
}
END_TEST

/* ---- on a device that is made up: 40 TB in one buffer ---- */

#define ITEM_BYTES UINT64_C(12304) /* of binding 0 */
#define ITEMS      (UINT64_C(1) << 31)

static void large_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    (void)dispatch;
    *begin = index == 0 ? first * ITEM_BYTES : 0;
    *end = index == 0 ? end_item * ITEM_BYTES : 64;
}

/* A dispatch whose pieces can be asked for without a device. */
struct large {
    struct gpu_device device;
    struct gpu_pipeline pipeline;
    struct gpu_buffer buffer;
    struct gpu_dispatch dispatch;
};

static void large_init(struct large *large, enum gpu_binding_kind kind, enum gpu_format format)
{
    memset(large, 0, sizeof(*large));
    large->device.log = test_logger();
    large->device.limits = (struct gpu_limits){.storage_range = (UINT64_C(1) << 32) - 1,
                                               .texel_elements = UINT64_C(1) << 27,
                                               .buffer_offset = 256,
                                               .groups = {65535, 65535, 65535}};
    large->pipeline.reflection = (struct gpu_reflection){
        .kinds = {kind, GPU_BINDING_STORAGE}, .access = {GPU_READ, GPU_WRITE}, .binding_count = 2};
    large->buffer.size = large->buffer.bytes = 32 + ITEMS * ITEM_BYTES;
    large->dispatch = (struct gpu_dispatch){
        .pipeline = &large->pipeline,
        .label = "large",
        .bindings = {{&large->buffer, 32, ITEMS * ITEM_BYTES, format},
                     {&large->buffer, 0, 64, GPU_RAW}},
        .binding_count = 2,
        .items = ITEMS,
        .span = large_span,
    };
}

static const struct {
    enum gpu_binding_kind kind;
    enum gpu_format format;
    uint64_t element, limit;
} views[] = {
    {GPU_BINDING_STORAGE, GPU_RGBA32F, 16, (UINT64_C(1) << 32) - 1},
    {GPU_BINDING_STORAGE, GPU_RAW, 4, (UINT64_C(1) << 32) - 1},
    {GPU_BINDING_TEXEL, GPU_RGBA32F, 16, UINT64_C(1) << 31},
    {GPU_BINDING_TEXEL, GPU_RGBA16F, 8, UINT64_C(1) << 30},
};

START_TEST(every_piece_keeps_to_the_limits)
{
    struct large large;
    struct gpu_piece piece;
    uint32_t pieces = 0;
    large_init(&large, views[_i].kind, views[_i].format);
    for (uint64_t first = 0; first < ITEMS; first = piece.end, pieces++) {
        ck_assert_ok(gpu_piece_next(&large.device, &large.dispatch, first, UINT64_MAX, &piece));
        const struct gpu_window *window = &piece.windows[0];
        ck_assert_uint_eq(piece.first, first);
        ck_assert_uint_gt(piece.end, first);
        ck_assert_uint_le(window->end - window->begin, views[_i].limit);
        ck_assert_uint_eq(window->begin % 256, 0);
        ck_assert_uint_le(window->begin, 32 + piece.first * ITEM_BYTES);
        ck_assert_uint_ge(window->end, 32 + piece.end * ITEM_BYTES);
        /* What a shader computes in 32 bits is the place in the view. */
        uint64_t element = piece.first * (ITEM_BYTES / views[_i].element);
        ck_assert_uint_eq((uint32_t)((uint32_t)element - window->base),
                          (32 + piece.first * ITEM_BYTES - window->begin) / views[_i].element);
        ck_assert_uint_ge((uint64_t)piece.groups_x * piece.groups_y, piece.end - piece.first);
        ck_assert_uint_le(piece.groups_x, 65535);
        /* One item more would not have fit. */
        if (piece.end < ITEMS)
            ck_assert_uint_gt(32 + (piece.end + 1) * ITEM_BYTES - window->begin, views[_i].limit);
    }
    ck_assert_uint_ge(pieces, ITEMS * ITEM_BYTES / views[_i].limit);
}
END_TEST

START_TEST(groups_are_rows_of_one_length)
{
    struct large large;
    struct gpu_piece piece;
    large_init(&large, GPU_BINDING_STORAGE, GPU_RGBA32F);
    large.device.limits.storage_range = UINT64_MAX;
    ck_assert_ok(gpu_piece_next(&large.device, &large.dispatch, 0, UINT64_MAX, &piece));
    ck_assert_uint_eq(piece.end, ITEMS);
    ck_assert_uint_eq(piece.groups_y, 32769);
    ck_assert_uint_lt((uint64_t)piece.groups_x * piece.groups_y - ITEMS, piece.groups_y);
}
END_TEST

Suite *gpu_pieces_suite(void)
{
    Suite *suite = suite_create("gpu_pieces");
    TCase *tests = tcase_create("device");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(tests, pieces_give_the_same_bytes, 0, ARRAY_SIZE(limits));
    tcase_add_test(tests, item_that_does_not_fit_is_refused);
    suite_add_tcase(suite, tests);
    tests = tcase_create("made_up");
    tcase_add_loop_test(tests, every_piece_keeps_to_the_limits, 0, ARRAY_SIZE(views));
    tcase_add_test(tests, groups_are_rows_of_one_length);
    suite_add_tcase(suite, tests);
    return suite;
}
