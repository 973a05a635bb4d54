/* foreign: buffers that others own between runs: taken over, and given back however a run ends. */
#include "gpu_cases.h"
#include <string.h>

#define ITEMS 20
#define SIZE  (ITEMS * (uint64_t)DOUBLE_ITEM_SIZE)

/* buffers[0] and [2] are foreign. */
static struct gpu_buffer *buffers[3];
static struct doubling doubling;

static struct {
    PFN_vkCmdPipelineBarrier place;
    char log[16]; /* a buffer's letter: upper case where it is taken over, lower case: given back */
} ownership;

/* The device need not know the foreign family: what passes to and from it is only noted. */
static VKAPI_ATTR void VKAPI_CALL
note_owner(VkCommandBuffer command, VkPipelineStageFlags from, VkPipelineStageFlags to,
           VkDependencyFlags flags, uint32_t memory_count, const VkMemoryBarrier *memory,
           uint32_t count, const VkBufferMemoryBarrier *passed, uint32_t image_count,
           const VkImageMemoryBarrier *images)
{
    for (uint32_t i = 0; i < count; i++) {
        bool taken = passed[i].srcQueueFamilyIndex == VK_QUEUE_FAMILY_FOREIGN_EXT;
        char *end = ownership.log + strlen(ownership.log);
        ck_assert_uint_eq(taken ? passed[i].dstQueueFamilyIndex : passed[i].srcQueueFamilyIndex,
                          test_device->family);
        ck_assert(taken || passed[i].dstQueueFamilyIndex == VK_QUEUE_FAMILY_FOREIGN_EXT);
        *end = (char)((taken ? 'A' : 'a') + (passed[i].buffer == buffers[2]->handle ? 2 : 0));
    }
    if (memory_count)
        ownership.place(command, from, to, flags, memory_count, memory, 0, NULL, image_count,
                        images);
}

static void setup(void)
{
    static const float zeros[SIZE / sizeof(float)];
    gpu_case_setup();
    doubling_init(&doubling);
    memset(&ownership, 0, sizeof(ownership));
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
        buffers[i] = device_buffer(SIZE);
        ck_assert_ok(gpu_buffer_write(buffers[i], 0, zeros, SIZE));
    }
    buffers[0]->foreign = buffers[2]->foreign = true;
    ownership.place = test_device->vk.vkCmdPipelineBarrier;
    test_device->vk.vkCmdPipelineBarrier = note_owner;
}

static void teardown(void)
{
    test_device->vk.vkCmdPipelineBarrier = ownership.place;
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
    gpu_buffer_destroy(doubling.weights);
    gpu_case_teardown();
}

static void record(struct gpu_commands *commands, uint32_t from, uint32_t to)
{
    doubling_set(&doubling, buffers[from], 0, buffers[to], 0, SIZE);
    doubling.dispatch.operations = ITEMS;
    ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
}

START_TEST(buffers_are_taken_over_and_given_back)
{
    struct gpu_commands *commands;
    float value;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    record(commands, 0, 1);
    ck_assert_str_eq(ownership.log, "A");
    record(commands, 1, 2);
    ck_assert_ok(gpu_commands_copy(commands, buffers[0], 0, buffers[1], 0, 64));
    ck_assert_str_eq(ownership.log, "AC");
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    gpu_commands_destroy(commands);
    ck_assert_str_eq(ownership.log, "ACac");
    buffers[2]->mapped = NULL; /* so that it is read through a staging buffer */
    ck_assert_ok(gpu_buffer_read(buffers[2], 0, &value, sizeof(value)));
    ck_assert_str_eq(ownership.log, "ACacCc");
}
END_TEST

static int stop_at(void *user, double done)
{
    const double *share = user;
    return done >= *share;
}

/* How runs end early, and what is given back then: buffers[2] is taken over half way. */
static const struct {
    double share; /* of the work after which it is cancelled; 0: destroyed on its way */
    const char *given;
} stops[] = {{0.25, "a"}, {0.75, "ac"}, {0, "a"}};

START_TEST(stopped_run_gives_back_what_it_has_taken)
{
    struct gpu_commands *commands;
    double share = stops[_i].share;
    test_device->max_submit_ms = 1e-12; /* every item is a part, every part a submission */
    test_device->operations_per_ms = 1;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    record(commands, 0, 1);
    record(commands, 1, 2);
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_uint_eq(gpu_commands_parts(commands), 2 * ITEMS);
    memset(ownership.log, 0, sizeof(ownership.log));
    if (share > 0) {
        test_device->progress = stop_at;
        test_device->progress_user = &share;
        ck_assert_fails(gpu_commands_run(commands, NULL), STATUS_CANCELLED, "cancelled");
        ck_assert_str_eq(ownership.log, stops[_i].given);
        /* Another run, to its end: the list itself gives all back. */
        test_device->progress = NULL;
        ck_assert_ok(gpu_commands_run(commands, NULL));
    } else {
        ck_assert_ok(gpu_commands_submit(commands));
    }
    gpu_commands_destroy(commands);
    ck_assert_str_eq(ownership.log, stops[_i].given);
}
END_TEST

/* Nothing was submitted, so nothing is taken. */
START_TEST(run_that_does_not_begin_gives_nothing_back)
{
    struct gpu_commands *commands;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    record(commands, 0, 1);
    ck_assert_ok(gpu_commands_end(commands));
    memset(ownership.log, 0, sizeof(ownership.log));
    gpu_cancel(test_device);
    ck_assert_fails(gpu_commands_run(commands, NULL), STATUS_CANCELLED, "cancelled");
    gpu_commands_destroy(commands);
    ck_assert_str_eq(ownership.log, "");
}
END_TEST

Suite *foreign_suite(void)
{
    Suite *suite = suite_create("foreign");
    TCase *tests = tcase_create("owners");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, buffers_are_taken_over_and_given_back);
    tcase_add_loop_test(tests, stopped_run_gives_back_what_it_has_taken, 0, ARRAY_SIZE(stops));
    tcase_add_test(tests, run_that_does_not_begin_gives_nothing_back);
    suite_add_tcase(suite, tests);
    return suite;
}
