/* submit: lists that go to the queue in groups of parts: same bytes however they are cut, progress,
 * cancelling, rates, two lists at once. */
#include "gpu_cases.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS   40
#define SIZE    (ITEMS * (uint64_t)DOUBLE_ITEM_SIZE)
#define NUMBERS (SIZE / sizeof(float))
/* What an item counts for, and a time in which the slowest device does less than one. */
#define ITEM_OPERATIONS 1e6
#define NO_TIME         1e-12

static struct gpu_buffer *buffers[3];
static struct doubling doubling;
static float values[NUMBERS];

static void fill(struct gpu_buffer *buffer, float factor)
{
    for (size_t i = 0; i < NUMBERS; i++)
        values[i] = factor * (float)(i + 1);
    ck_assert_ok(gpu_buffer_write(buffer, 0, values, SIZE));
}

static void check(struct gpu_buffer *buffer, float factor)
{
    ck_assert_ok(gpu_buffer_read(buffer, 0, values, SIZE));
    for (size_t i = 0; i < NUMBERS; i++)
        ck_assert_msg(values[i] == factor * (float)(i + 1), "number %zu is %g, not %g", i,
                      (double)values[i], (double)factor * (double)(i + 1));
}

static void setup(void)
{
    gpu_case_setup();
    doubling_init(&doubling);
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
        buffers[i] = device_buffer(SIZE);
        fill(buffers[i], i == 0);
    }
}

static void teardown(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        gpu_buffer_destroy(buffers[i]);
    gpu_buffer_destroy(doubling.weights);
    gpu_case_teardown();
}

/* Every item is a part, every part a submission. */
static void cut_finely(void)
{
    test_device->max_submit_ms = NO_TIME;
    test_device->operations_per_ms = 1;
}

static void record_double(struct gpu_commands *commands, uint32_t from, uint32_t to)
{
    doubling_set(&doubling, buffers[from], 0, buffers[to], 0, SIZE);
    doubling.dispatch.operations = ITEMS * ITEM_OPERATIONS;
    ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
}

/* buffers[0] -> 1 -> 2 -> 1: number i becomes 8 (i + 1). */
static struct gpu_commands *make_chain(bool profile)
{
    struct gpu_commands *commands;
    ck_assert_ok(gpu_commands_create(test_device, &(struct gpu_commands_params){.profile = profile},
                                     &commands));
    record_double(commands, 0, 1);
    record_double(commands, 1, 2);
    record_double(commands, 2, 1);
    ck_assert_ok(gpu_commands_end(commands));
    return commands;
}

/* ---- cuts ---- */

static const struct {
    const char *name;
    double max_submit_ms, rate;
    uint32_t parts, submissions; /* 0: more than one */
} cuts[] = {
    {"unbounded", (double)INFINITY, 0, 1, 1},
    {"unbounded, rate known", (double)INFINITY, 1, 1, 1},
    {"all of it is a part", 1, 4e9, 1, 1},
    {"parts fit one submission", 4, 1e6 * ITEMS, 3, 1},
    {"a part an item", NO_TIME, 1, 3 * ITEMS, 3 * ITEMS},
    {"parts of some items", 4, 7e6, 0, 0},
};

START_TEST(cut_list_gives_the_same_bytes)
{
    test_device->max_submit_ms = cuts[_i].max_submit_ms;
    test_device->operations_per_ms = cuts[_i].rate;
    struct gpu_commands *commands = make_chain(false);
    if (cuts[_i].parts)
        ck_assert_uint_eq(gpu_commands_parts(commands), cuts[_i].parts);
    else
        ck_assert_uint_eq(gpu_commands_parts(commands), 3 * ((ITEMS + 6) / 7));
    for (uint32_t run = 0; run < 3; run++) {
        fill(buffers[1], 0);
        test_device->operations_per_ms = cuts[_i].rate;
        if (cuts[_i].parts > 1 && cuts[_i].submissions == 1)
            test_device->max_submit_ms = 1e9; /* of which no device needs so much */
        ck_assert_ok(gpu_commands_run(commands, NULL));
        check(buffers[1], 8);
        if (cuts[_i].submissions)
            ck_assert_uint_eq(gpu_commands_submissions(commands), cuts[_i].submissions);
        ck_assert_uint_le(gpu_commands_submissions(commands), gpu_commands_parts(commands));
    }
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(copies_and_fills_are_cut)
{
    struct gpu_commands *commands;
    test_device->max_submit_ms = 1;
    test_device->operations_per_ms = GPU_OPERATIONS_PER_BYTE * SIZE / 4.0;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    ck_assert_ok(gpu_commands_fill(commands, buffers[1], 0, SIZE, 0));
    ck_assert_ok(gpu_commands_copy(commands, buffers[0], 0, buffers[1], 0, SIZE));
    ck_assert_ok(gpu_commands_copy(commands, buffers[1], 0, buffers[2], 0, SIZE - 4));
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_uint_gt(gpu_commands_parts(commands), 6);
    test_device->max_submit_ms = NO_TIME;
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_uint_eq(gpu_commands_submissions(commands), gpu_commands_parts(commands));
    check(buffers[1], 1);
    ck_assert_ok(gpu_buffer_read(buffers[2], 0, values, SIZE));
    ck_assert(values[NUMBERS - 1] == 0 && values[NUMBERS - 2] == (float)(NUMBERS - 1));
    gpu_commands_destroy(commands);
}
END_TEST

/* What costs nothing still takes its time: a list of very many dispatches is cut too. */
START_TEST(many_small_dispatches_are_cut)
{
    struct gpu_commands *commands;
    test_device->operations_per_ms = 1e9;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    doubling_set(&doubling, buffers[0], 0, buffers[1], 0, DOUBLE_ITEM_SIZE);
    doubling.dispatch.operations = 0;
    for (uint32_t i = 0; i < 5000; i++)
        ck_assert_ok(gpu_commands_dispatch(commands, &doubling.dispatch));
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_uint_eq(gpu_commands_parts(commands), 3);
    ck_assert_ok(gpu_commands_run(commands, NULL));
    gpu_commands_destroy(commands);
}
END_TEST

/* ---- time ---- */

START_TEST(time_and_profile_of_a_cut_list)
{
    const struct gpu_profile_entry *entries;
    uint32_t count;
    double ms = 0, sum = 0;
    cut_finely();
    struct gpu_commands *commands = make_chain(true);
    ck_assert_fails(gpu_commands_profile(commands, &entries, &count), STATUS_INVALID_ARGUMENT,
                    "a run that has ended");
    ck_assert_ok(gpu_commands_run(commands, &ms));
    ck_assert_ok(gpu_commands_profile(commands, &entries, &count));
    if (test_device->features.timestamps) {
        ck_assert_uint_eq(count, 3);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_str_eq(entries[i].label, "double");
            ck_assert(entries[i].ms >= 0);
            sum += entries[i].ms;
        }
        ck_assert(ms > 0 && sum > 0 && sum <= ms);
    }
    gpu_cancel(test_device);
    ck_assert_fails(gpu_commands_run(commands, NULL), STATUS_CANCELLED, "cancelled");
    ck_assert_fails(gpu_commands_profile(commands, &entries, &count), STATUS_INVALID_ARGUMENT,
                    "a run that has ended");
    gpu_commands_destroy(commands);
}
END_TEST

/* ---- progress and cancelling ---- */

struct watch {
    uint32_t calls, cancel_at; /* 0: never */
    double last;
    bool by_flag; /* cancel as another thread would */
};

static int watch_progress(void *user, double done)
{
    struct watch *watch = user;
    ck_assert_msg(done >= watch->last && done > 0 && done < 1, "%g after %g", done, watch->last);
    watch->last = done;
    watch->calls++;
    if (watch->calls == watch->cancel_at && watch->by_flag)
        gpu_cancel(test_device);
    return watch->calls == watch->cancel_at && !watch->by_flag;
}

START_TEST(progress_between_submissions)
{
    struct watch watch = {0};
    cut_finely();
    test_device->progress = watch_progress;
    test_device->progress_user = &watch;
    struct gpu_commands *commands = make_chain(false);
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_uint_eq(watch.calls, gpu_commands_submissions(commands) - 1);
    ck_assert(watch.last > 0.99 * (1 - 1.0 / (3 * ITEMS)));

    /* The second half of something larger. */
    watch = (struct watch){.last = 0.5};
    test_device->progress_from = 0.5;
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_uint_eq(watch.calls, gpu_commands_submissions(commands) - 1);

    /* One submission: nothing is between. */
    watch = (struct watch){0};
    test_device->max_submit_ms = (double)INFINITY;
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_uint_eq(watch.calls, 0);
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(cancelled_run_can_run_again)
{
    cut_finely();
    struct watch watch = {.cancel_at = 5 + (uint32_t)_i, .by_flag = _i % 2};
    test_device->progress = watch_progress;
    test_device->progress_user = &watch;
    struct gpu_commands *commands = make_chain(false);
    ck_assert_fails(gpu_commands_run(commands, NULL), STATUS_CANCELLED, "cancelled");
    /* What was on its way ends; nothing follows it. */
    ck_assert_uint_eq(watch.calls, watch.cancel_at);
    ck_assert_uint_eq(gpu_commands_submissions(commands), watch.cancel_at + 1);
    watch = (struct watch){0};
    ck_assert_ok(gpu_commands_run(commands, NULL));
    ck_assert_uint_eq(gpu_commands_submissions(commands), gpu_commands_parts(commands));
    check(buffers[1], 8);
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(cancel_ends_the_next_run_only)
{
    struct gpu_commands *commands = make_chain(false);
    gpu_cancel(test_device);
    gpu_cancel(test_device);
    ck_assert_fails(gpu_commands_run(commands, NULL), STATUS_CANCELLED, "cancelled");
    ck_assert_uint_eq(gpu_commands_submissions(commands), 0);
    check(buffers[1], 0);
    ck_assert_ok(gpu_commands_run(commands, NULL));
    check(buffers[1], 8);
    gpu_commands_destroy(commands);
}
END_TEST

START_TEST(cancel_of_the_last_submission_counts)
{
    struct gpu_commands *commands = make_chain(false);
    ck_assert_ok(gpu_commands_submit(commands));
    gpu_cancel(test_device);
    ck_assert_fails(gpu_commands_wait(commands, NULL), STATUS_CANCELLED, "cancelled");
    ck_assert_ok(gpu_commands_run(commands, NULL));
    check(buffers[1], 8);
    gpu_commands_destroy(commands);
}
END_TEST

/* ---- two lists ---- */

/* buffers[1] -> 2. */
static struct gpu_commands *make_second(void)
{
    struct gpu_commands *commands;
    ck_assert_ok(gpu_commands_create(test_device, NULL, &commands));
    record_double(commands, 1, 2);
    ck_assert_ok(gpu_commands_end(commands));
    return commands;
}

START_TEST(lists_run_in_the_order_of_submission)
{
    if (_i)
        cut_finely();
    struct gpu_commands *first = make_chain(false), *second = make_second();
    for (uint32_t run = 0; run < 3; run++) {
        fill(buffers[1], 0);
        fill(buffers[2], 0);
        ck_assert_ok(gpu_commands_submit(first));
        ck_assert_ok(gpu_commands_submit(second));
        /* In either order. */
        ck_assert_ok(gpu_commands_wait(run == 1 ? second : first, NULL));
        ck_assert_ok(gpu_commands_wait(run == 1 ? first : second, NULL));
        check(buffers[1], 8);
        check(buffers[2], 16);
    }
    gpu_commands_destroy(first);
    gpu_commands_destroy(second);
}
END_TEST

START_TEST(cancelled_list_stops_the_next)
{
    struct watch watch = {.cancel_at = 10};
    cut_finely();
    struct gpu_commands *first = make_chain(false), *second = make_second();
    test_device->progress = watch_progress;
    test_device->progress_user = &watch;
    ck_assert_ok(gpu_commands_submit(first));
    ck_assert_fails(gpu_commands_submit(second), STATUS_CANCELLED, "cancelled");
    ck_assert_int_eq(gpu_commands_wait(first, NULL), STATUS_CANCELLED);
    watch = (struct watch){0};
    ck_assert_ok(gpu_commands_run(first, NULL));
    watch = (struct watch){0};
    ck_assert_ok(gpu_commands_run(second, NULL));
    check(buffers[2], 16);
    gpu_commands_destroy(first);
    gpu_commands_destroy(second);
}
END_TEST

START_TEST(list_is_destroyed_on_its_way)
{
    if (_i)
        cut_finely();
    struct gpu_commands *first = make_chain(false), *second = make_second();
    ck_assert_ok(gpu_commands_submit(first));
    gpu_commands_destroy(first);
    ck_assert_ok(gpu_commands_run(second, NULL));
    gpu_commands_destroy(second);
}
END_TEST

Suite *submit_suite(void)
{
    Suite *suite = suite_create("submit");
    TCase *test = tcase_create("lists");
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_loop_test(test, cut_list_gives_the_same_bytes, 0, ARRAY_SIZE(cuts));
    tcase_add_test(test, copies_and_fills_are_cut);
    tcase_add_test(test, many_small_dispatches_are_cut);
    tcase_add_test(test, time_and_profile_of_a_cut_list);
    tcase_add_test(test, progress_between_submissions);
    tcase_add_loop_test(test, cancelled_run_can_run_again, 0, 2);
    tcase_add_test(test, cancel_ends_the_next_run_only);
    tcase_add_test(test, cancel_of_the_last_submission_counts);
    tcase_add_loop_test(test, lists_run_in_the_order_of_submission, 0, 2);
    tcase_add_test(test, cancelled_list_stops_the_next);
    tcase_add_loop_test(test, list_is_destroyed_on_its_way, 0, 2);
    suite_add_tcase(suite, test);
    return suite;
}
