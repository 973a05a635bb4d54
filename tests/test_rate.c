/* rate: what a device's rate is learned from, and what it decides. */
#include "gpu_cases.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

#define ITEMS           8
#define SIZE            (ITEMS * DOUBLE_ITEM_SIZE)
#define ITEM_OPERATIONS 1e6

static struct gpu_buffer *buffers[2];
static struct doubling doubling;
static PFN_vkQueueSubmit submit_now;

static void setup(void)
{
    gpu_case_setup();
    doubling_init(&doubling);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        buffers[i] = device_buffer(SIZE);
}

static void teardown(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
    gpu_buffer_destroy(doubling.weights);
    gpu_case_teardown();
}

static struct gpu_commands *make_list(void)
{
    struct gpu_commands *commands;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    doubling_set(&doubling, buffers[0], 0, buffers[1], 0, SIZE);
    doubling.dispatch.operations = ITEMS * ITEM_OPERATIONS;
    ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
    ck_assert_ok(gpu_commands_end(commands));
    return commands;
}

static VkResult submit_late(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence)
{
    usleep(20000);
    return submit_now(queue, count, infos, fence);
}

/* A driver compiles when a dispatch begins in a first run, and the first submission of this one is
 * late: the next list is not cut finer for that. A second run is believed. */
START_TEST(first_runs_do_not_splinter)
{
    test_device->features.timestamps = false;
    test_device->operations_per_ms = 0;
    test_device->max_submit_ms = 4 * ITEM_OPERATIONS / 1e6;
    submit_now = test_device->vk.vkQueueSubmit;
    test_device->vk.vkQueueSubmit = submit_late;
    struct gpu_commands *commands = make_list();
    ck_assert_ok(gpu_commands_run(commands, NULL));
    double believed = test_device->operations_per_ms;
    struct gpu_commands *next = make_list();
    ck_assert_uint_le(gpu_commands_parts(next), gpu_commands_parts(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert(test_device->operations_per_ms < believed);
    gpu_commands_destroy(next);
    gpu_commands_destroy(commands);
}
END_TEST

/* What was cut finely while nothing was known is told from what is cut as it would be now. */
START_TEST(lists_are_outgrown)
{
    test_device->operations_per_ms = 0;
    test_device->max_submit_ms = 2 * ITEM_OPERATIONS / 1e6;
    struct gpu_commands *commands = make_list();
    uint32_t parts = gpu_commands_parts(commands);
    ck_assert_uint_gt(parts, 1);
    ck_assert(!gpu_commands_outgrown(commands));
    test_device->operations_per_ms = 1e12;
    ck_assert(gpu_commands_outgrown(commands));
    struct gpu_commands *next = make_list();
    ck_assert_uint_lt(gpu_commands_parts(next), parts);
    ck_assert(!gpu_commands_outgrown(next));
    gpu_commands_destroy(next);
    gpu_commands_destroy(commands);
}
END_TEST

/* A measured rate falls to what was seen at once, and grows slowly. */
START_TEST(rate_is_learned)
{
    test_device->features.timestamps &= _i == 0;
    test_device->operations_per_ms = 0;
    test_device->max_submit_ms = 4 * ITEM_OPERATIONS / 1e6;
    struct gpu_commands *commands = make_list();
    double ms;
    ck_assert_ok(gpu_commands_run(commands, &ms));
    ck_assert(test_device->features.timestamps ? ms > 0 : ms == -1);
    ck_assert(test_device->operations_per_ms > 0);

    const double fast = 1e30, slow = 1e-3;
    test_device->operations_per_ms = fast;
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert(test_device->operations_per_ms < 1e20);
    test_device->operations_per_ms = slow;
    ck_assert_ok(gpu_commands_run(commands, NULL));
    double expected = slow * pow(1.25, gpu_commands_submissions(commands));
    ck_assert_double_eq_tol(test_device->operations_per_ms, expected, 1e-9 * expected);
    gpu_commands_destroy(commands);
}
END_TEST

Suite *rate_suite(void)
{
    Suite *suite = suite_create("rate");
    TCase *test = tcase_create("rate");
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, first_runs_do_not_splinter);
    tcase_add_test(test, lists_are_outgrown);
    tcase_add_loop_test(test, rate_is_learned, 0, 2);
    suite_add_tcase(suite, test);
    return suite;
}
