/* gpu_record: results, barriers, copies, timestamps and profiles of recorded commands. */
#include "gpu_cases.h"
#include <stdlib.h>
#include <string.h>

/* Floats of a buffer, 1, 2, 3 ... */
static void write_counting(struct gpu_buffer *buffer)
{
    size_t count = buffer->size / sizeof(float);
    float *values = malloc(buffer->size);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(i + 1);
    ck_assert_ok(gpu_buffer_write(buffer, 0, values, buffer->size));
    free(values);
}

/* Float i must be factor * (i + 1) inside [begin, end) bytes and 0 outside. */
static void check_counting(struct gpu_buffer *buffer, uint64_t begin, uint64_t end, float factor)
{
    float *values = malloc(buffer->size);
    ck_assert_ptr_nonnull(values);
    ck_assert_ok(gpu_buffer_read(buffer, 0, values, buffer->size));
    for (size_t i = 0; i < buffer->size / sizeof(float); i++) {
        bool inside = i * sizeof(float) >= begin && i * sizeof(float) < end;
        float expected = inside ? factor * (float)(i + 1) : 0;
        ck_assert_msg(values[i] == expected, "float %zu is %g, not %g", i, (double)values[i],
                      (double)expected);
    }
    free(values);
}

static void clear(struct gpu_buffer *buffer)
{
    void *zeros = calloc(1, buffer->size);
    ck_assert_ptr_nonnull(zeros);
    ck_assert_ok(gpu_buffer_write(buffer, 0, zeros, buffer->size));
    free(zeros);
}

static struct gpu_commands *open_commands(bool profile)
{
    struct gpu_commands *commands;
    const struct gpu_commands_params params = {.profile = profile};
    ck_assert_ok(gpu_commands_create(test_device, &params, &commands));
    return commands;
}

static void finish_commands(struct gpu_commands *commands)
{
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    gpu_commands_destroy(commands);
}

/* Three buffers of some items each, and a doubling. */
#define SIZE (5 * DOUBLE_ITEM_SIZE + 48)
static struct gpu_buffer *a, *b, *c;
static struct doubling doubling;

static void setup(void)
{
    gpu_case_setup();
    a = device_buffer(SIZE);
    b = device_buffer(SIZE);
    c = device_buffer(SIZE);
    doubling_init(&doubling);
    write_counting(a);
    clear(b);
    clear(c);
}

static void teardown(void)
{
    gpu_buffer_destroy(a);
    gpu_buffer_destroy(b);
    gpu_buffer_destroy(c);
    gpu_buffer_destroy(doubling.weights);
    gpu_case_teardown();
}

static void record(struct gpu_commands *commands, struct gpu_buffer *from, uint64_t from_offset,
                   struct gpu_buffer *to, uint64_t to_offset, uint64_t size)
{
    doubling_set(&doubling, from, from_offset, to, to_offset, size);
    ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
}

/* ---- results ---- */

START_TEST(list_runs_again_and_again)
{
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 0, b, 0, SIZE);
    ck_assert_ok(gpu_commands_end(commands));
    for (uint32_t i = 0; i < 3; i++) {
        clear(b);
        ck_assert_ok(gpu_commands_run(commands, NULL));
        check_counting(b, 0, SIZE, 2);
    }
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(chain_sees_what_came_before)
{
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 0, b, 0, SIZE);
    record(commands, b, 0, c, 0, SIZE);
    record(commands, c, 0, b, 0, SIZE);
    ck_assert_uint_eq(gpu_commands_dispatches(commands), 3);
    ck_assert_uint_eq(gpu_commands_barriers(commands), 2);
    finish_commands(commands);
    check_counting(b, 0, SIZE, 8);
    check_counting(c, 0, SIZE, 4);
}
END_TEST

START_TEST(offset_on_no_boundary_of_the_device_works)
{
    /* 48 is a multiple of 16, but not of most devices' alignments of a view. */
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 48, b, 48, SIZE - 96);
    finish_commands(commands);
    check_counting(b, 48, SIZE - 48, 2);
}
END_TEST

START_TEST(copy_and_fill)
{
    struct gpu_commands *commands = open_commands(false);
    ck_assert_ok(gpu_commands_fill(commands, b, 0, SIZE, 0x3f800000));
    ck_assert_ok(gpu_commands_copy(commands, a, 64, b, 64, 256));
    ck_assert_ok(gpu_commands_fill(commands, b, 0, 64, 0));
    ck_assert_ok(gpu_commands_fill(commands, b, 320, SIZE - 320, 0));
    ck_assert_ok(gpu_commands_copy(commands, a, 0, b, 0, 0));
    ck_assert_ok(gpu_commands_fill(commands, b, 0, 0, 1));
    ck_assert_uint_eq(gpu_commands_barriers(commands), 1);
    record(commands, b, 0, c, 0, SIZE);
    ck_assert_uint_eq(gpu_commands_barriers(commands), 2);
    finish_commands(commands);
    check_counting(b, 64, 320, 1);
    check_counting(c, 64, 320, 2);
}
END_TEST

START_TEST(no_items_record_nothing)
{
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 0, b, 0, 0);
    ck_assert_uint_eq(gpu_commands_dispatches(commands), 0);
    finish_commands(commands);
    check_counting(b, 0, 0, 0);
}
END_TEST

/* Into a command buffer of the caller's, who submits it. */
START_TEST(callers_command_buffer_is_used)
{
    struct gpu_device *device = test_device;
    VkCommandBuffer command;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = device->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &command};
    struct gpu_commands *commands;
    ck_assert_int_eq(device->vk.vkAllocateCommandBuffers(device->handle, &info, &command), 0);
    ck_assert_int_eq(device->vk.vkBeginCommandBuffer(command, &begin), 0);
    const struct gpu_commands_params params = {.command = command, .profile = true};
    ck_assert_ok(gpu_commands_create(device, &params, &commands));
    record(commands, a, 0, b, 0, SIZE);
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_int_eq(device->vk.vkEndCommandBuffer(command), 0);
    ck_assert_int_eq(device->vk.vkQueueSubmit(device->queue, 1, &submit, VK_NULL_HANDLE), 0);
    ck_assert_int_eq(device->vk.vkDeviceWaitIdle(device->handle), 0);
    gpu_commands_destroy(commands);
    device->vk.vkFreeCommandBuffers(device->handle, device->commands, 1, &command);
    check_counting(b, 0, SIZE, 2);
}
END_TEST

/* ---- barriers ---- */

#define ITEM DOUBLE_ITEM_SIZE

/* Two dispatches after each other: buffers by number (0 a, 1 b, 2 c), items by their bytes. */
static const struct {
    const char *name;
    struct {
        uint32_t from, to;
        uint64_t from_offset, to_offset, size;
    } first, second;
    uint32_t barriers;
} orders[] = {
    {"two readers of one", {0, 1, 0, 0, SIZE}, {0, 2, 0, 0, SIZE}, 0},
    {"read after write", {0, 1, 0, 0, SIZE}, {1, 2, 0, 0, SIZE}, 1},
    {"write after read", {0, 1, 0, 0, SIZE}, {2, 0, 0, 0, SIZE}, 1},
    {"write after write", {0, 1, 0, 0, SIZE}, {2, 1, 0, 0, SIZE}, 1},
    {"writes side by side", {0, 1, 0, 0, ITEM}, {0, 1, 0, ITEM, ITEM}, 0},
    {"writes that share a row", {0, 1, 0, 0, ITEM}, {0, 1, 0, ITEM - 16, ITEM}, 1},
    {"read beside a write", {0, 1, 0, 0, ITEM}, {1, 2, ITEM, 0, ITEM}, 0},
    {"read of a written row", {0, 1, 0, 0, ITEM}, {1, 2, ITEM - 16, 0, ITEM}, 1},
    {"write beside a read", {0, 1, ITEM, 0, ITEM}, {2, 0, 0, 0, ITEM}, 0},
};

START_TEST(barriers_are_where_needed)
{
    struct gpu_buffer *const buffers[] = {a, b, c};
    struct gpu_commands *commands = open_commands(false);
    record(commands, buffers[orders[_i].first.from], orders[_i].first.from_offset,
           buffers[orders[_i].first.to], orders[_i].first.to_offset, orders[_i].first.size);
    record(commands, buffers[orders[_i].second.from], orders[_i].second.from_offset,
           buffers[orders[_i].second.to], orders[_i].second.to_offset, orders[_i].second.size);
    ck_assert_msg(gpu_commands_barriers(commands) == orders[_i].barriers, "%s: %u barriers",
                  orders[_i].name, gpu_commands_barriers(commands));
    finish_commands(commands);
}
END_TEST

START_TEST(barrier_serves_all_that_is_before_it)
{
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 0, b, 0, ITEM);
    record(commands, a, 0, b, ITEM, ITEM);
    record(commands, b, 0, c, 0, ITEM);
    record(commands, b, ITEM, c, ITEM, ITEM);
    ck_assert_uint_eq(gpu_commands_barriers(commands), 1);
    finish_commands(commands);
}
END_TEST

/* ---- refusals ---- */

START_TEST(wrong_bindings_are_refused)
{
    struct gpu_commands *commands = open_commands(false);
    struct gpu_dispatch *dispatch = &doubling.dispatch;
    doubling_set(&doubling, a, 8, b, 0, SIZE);
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_INVALID_ARGUMENT,
                    "multiple of 16");
    doubling_set(&doubling, a, 16, b, 0, SIZE);
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_INVALID_ARGUMENT,
                    "passes the end");
    doubling_set(&doubling, a, 0, NULL, 0, SIZE);
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_INVALID_ARGUMENT,
                    "no buffer");
    doubling_set(&doubling, a, 0, b, 0, SIZE);
    dispatch->binding_count = 5;
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_INVALID_ARGUMENT,
                    "binding 5");
    dispatch->binding_count = 6;
    dispatch->push_size -= 4;
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_INVALID_ARGUMENT,
                    "push constants");
    dispatch->push_size += 4;
    dispatch->items = UINT64_C(1) << 32;
    ck_assert_fails(gpu_commands_dispatch(commands, dispatch), STATUS_UNSUPPORTED, "work items");
    gpu_commands_destroy(commands);
}
END_TEST

/* ---- times ---- */

START_TEST(time_is_measured)
{
    double ms = -2;
    struct gpu_commands *commands = open_commands(false);
    record(commands, a, 0, b, 0, SIZE);
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, &ms));
    if (test_device->features.timestamps)
        ck_assert(ms >= 0 && ms < 60000);
    else
        ck_assert(ms == -1);
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(queue_without_timestamps_says_so)
{
    const struct gpu_profile_entry *entries;
    uint32_t count;
    double ms = -2;
    test_device->features.timestamps = false;
    struct gpu_commands *commands = open_commands(true);
    record(commands, a, 0, b, 0, SIZE);
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, &ms));
    ck_assert(ms == -1);
    ck_assert_ok(gpu_commands_profile(commands, &entries, &count));
    ck_assert_uint_eq(count, 0);
    gpu_commands_destroy(commands);
}
END_TEST

#define PROFILED 300 /* more than one query pool and more than one descriptor pool hold */

START_TEST(profile_has_an_entry_a_dispatch)
{
    static const char *const labels[] = {"first", "second"};
    const struct gpu_profile_entry *entries;
    uint32_t count;
    double ms, sum = 0;
    struct gpu_commands *commands = open_commands(true);
    test_device->limits.groups[0] = 2; /* three pieces a dispatch */
    test_device->limits.groups[1] = 1;
    for (uint32_t i = 0; i < PROFILED; i++) {
        doubling.dispatch.label = labels[i % 2];
        record(commands, a, 0, i % 2 ? b : c, 0, SIZE);
    }
    record(commands, a, 0, b, 0, 0);
    ck_assert_uint_eq(gpu_commands_dispatches(commands), 3 * PROFILED);
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, &ms));
    ck_assert_ok(gpu_commands_profile(commands, &entries, &count));
    ck_assert_uint_eq(count, test_device->features.timestamps ? PROFILED : 0);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_str_eq(entries[i].label, labels[i % 2]);
        ck_assert(entries[i].ms >= 0);
        sum += entries[i].ms;
    }
    ck_assert(sum <= ms * 1.001 + 0.001 || !test_device->features.timestamps);
    gpu_commands_destroy(commands);
    check_counting(b, 0, SIZE, 2);
}
END_TEST

Suite *gpu_record_suite(void)
{
    Suite *suite = suite_create("gpu_record");
    TCase *tests = tcase_create("record");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, list_runs_again_and_again);
    tcase_add_test(tests, chain_sees_what_came_before);
    tcase_add_test(tests, offset_on_no_boundary_of_the_device_works);
    tcase_add_test(tests, copy_and_fill);
    tcase_add_test(tests, no_items_record_nothing);
    tcase_add_test(tests, callers_command_buffer_is_used);
    tcase_add_loop_test(tests, barriers_are_where_needed, 0, ARRAY_SIZE(orders));
    tcase_add_test(tests, barrier_serves_all_that_is_before_it);
    tcase_add_test(tests, wrong_bindings_are_refused);
    tcase_add_test(tests, time_is_measured);
    tcase_add_test(tests, queue_without_timestamps_says_so);
    tcase_add_test(tests, profile_has_an_entry_a_dispatch);
    suite_add_tcase(suite, tests);
    return suite;
}
