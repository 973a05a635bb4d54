/* bench_work: what the passes compute is right by their own check, and the check sees what is
 * wrong. */
#include "bench_work.h"
#include "gpu_cases.h"
#include <math.h>
#include <stdlib.h>

static const struct rate_set rates = {{1, 3, 8}, 3};

static const struct {
    struct work_spec spec;
} cases[] = {
    {{PASS_CORE, &attn_adamra, &rates, false, ELEMENT_F32, 300, 24, 2, 2, 0, {0}, NULL}},
    {{PASS_CORE, &attn_adamra, &rates, true, ELEMENT_F16, 300, 21, 2, 1, 0, {0}, NULL}},
    {{PASS_CORE, &attn_softmax, NULL, false, ELEMENT_F32, 100, 33, 1, 2, 0, {0}, NULL}},
    {{PASS_CORE, &attn_linear, NULL, false, ELEMENT_F16, 100, 8, 3, 1, 0, {0}, NULL}},
    {{PASS_CORE, &attn_bigbird, NULL, true, ELEMENT_F32, 900, 16, 1, 1, 0, {0}, NULL}},
    {{PASS_CORE, &attn_adamra, &rates, false, ELEMENT_F32, 1, 4, 1, 1, 0, {0}, NULL}},
    {{PASS_LAYER, &attn_adamra, &rates, false, ELEMENT_F32, 150, 18, 2, 2, 50, {0}, NULL}},
    {{PASS_LAYER, &attn_adamra, &rates, false, ELEMENT_F16, 150, 16, 1, 1, 64, {0}, NULL}},
    {{PASS_LAYER, &attn_adamra, &rates, false, ELEMENT_F32, 60, 64, 2, 1, 256, {0}, NULL}},
    {{PASS_LAYER, &attn_adamra, &rates, false, ELEMENT_F16, 60, 64, 1, 2, 512, {0}, NULL}},
    {{PASS_LAYER, &attn_softmax, NULL, false, ELEMENT_F32, 70, 12, 1, 3, 40, {0}, NULL}},
    {{PASS_LAYER, &attn_linear, NULL, false, ELEMENT_F16, 70, 12, 2, 1, 40, {0}, NULL}},
    {{PASS_LAYER, &attn_bigbird, NULL, false, ELEMENT_F32, 700, 8, 1, 1, 16, {0}, NULL}},
    {{PASS_OP, NULL, NULL, false, ELEMENT_F32, 70, 0, 0, 0, 0, {70, 33, 41}, NULL}},
    {{PASS_OP, NULL, NULL, false, ELEMENT_F16, 1, 0, 0, 0, 0, {1, 64, 3}, NULL}},
};

static struct numbers numbers;

static void setup(void)
{
    gpu_case_setup();
    ck_assert_ok(numbers_create(test_logger(), &numbers));
}

static void teardown(void)
{
    numbers_destroy(&numbers);
    gpu_case_teardown();
}

static bool is_wrong(struct work *work)
{
    struct work_error error;
    bool wrong;
    ck_assert_ok(work_check(work, &wrong, &error));
    ck_assert_uint_ge(error.rows, 1);
    return wrong;
}

/* Multiplies all that set 0 has put out. */
static void scale_output(struct work *work, double factor)
{
    for (uint32_t i = 0; i < work->tensor_count; i++) {
        const struct work_tensor *tensor = &work->tensors[i];
        struct gpu_buffer *buffer = work->sets[0].buffers[i];
        struct tensor host = {.type = tensor->rows.type,
                              .elements = tensor->rows.rows * tensor->rows.stride,
                              .host = malloc(buffer->size)};
        ck_assert_ptr_nonnull(host.host);
        if (tensor->role == WORK_OUTPUT) {
            ck_assert_ok(gpu_buffer_read(buffer, 0, host.host, buffer->size));
            for (uint64_t j = 0; j < host.elements; j++) {
                tensor_set(&host, j, factor * tensor_get(&host, j));
            }
            ck_assert_ok(gpu_buffer_write(buffer, 0, host.host, buffer->size));
        }
        free(host.host);
    }
}

START_TEST(checks_pass_and_can_fail)
{
    struct work *work;
    double device_ms, host_ms;
    ck_assert_ok(work_create(test_device, &numbers, &cases[_i].spec, &work));
    ck_assert_ok(work_prepare(work, 2));
    for (uint32_t set = 0; set < 2; set++) {
        ck_assert_ok(work_run(work, set, &device_ms, &host_ms));
        ck_assert_double_gt(device_ms, 0);
        ck_assert_double_gt(host_ms, 0);
    }
    ck_assert_double_gt(work->operations, 0);
    ck_assert_double_gt(work->bytes, 0);
    ck_assert(!is_wrong(work));
    scale_output(work, 1.1);
    ck_assert(is_wrong(work));
    scale_output(work, (double)NAN);
    ck_assert(is_wrong(work));
    work_destroy(work);
}
END_TEST

/* The specification's figures for the core, and memory in bytes. */
START_TEST(costs_are_counted)
{
    const struct work_spec spec = {
        PASS_CORE, &attn_adamra, &rates, false, ELEMENT_F16, 300, 24, 2, 2, 0, {0}, NULL};
    struct work *work;
    ck_assert_ok(work_create(test_device, &numbers, &spec, &work));
    double blocks = 4, segments = 300 + 100 + 38;
    ck_assert_double_eq(work->operations, blocks * 2 * 24 * 24 * (segments + 300));
    ck_assert_double_eq(work->bytes, blocks * 2 * 300 * (24 + 3 * 48 + 3 + 24));
    ck_assert_uint_eq(work_output_bytes(work), 4 * 300 * 24 * 2);
    ck_assert_uint_eq(work_input_bytes(work), 4 * 300 * (24 + 3 * 48 + 3) * 2 + 2 * 2 * 4);
    work_destroy(work);
}
END_TEST

START_TEST(numbers_reach_the_device)
{
    const struct number_rows rows = {ELEMENT_F16, 70001, 30, 32, 5};
    struct gpu_buffer *buffer = device_buffer(rows.rows * rows.stride * 2);
    uint16_t found[32];
    double expected[30];
    ck_assert_ok(numbers_write(&numbers, &rows, buffer));
    for (uint64_t row = 0; row < rows.rows; row += 10000) {
        ck_assert_ok(gpu_buffer_read(buffer, row * sizeof(found), found, sizeof(found)));
        numbers_row(&numbers, &rows, row, expected);
        for (uint32_t i = 0; i < 32; i++) {
            ck_assert_double_eq((double)half_to_float(found[i]), i < 30 ? expected[i] : 0);
        }
    }
    gpu_buffer_destroy(buffer);
}
END_TEST

Suite *bench_work_suite(void)
{
    Suite *suite = suite_create("bench_work");
    TCase *tests = tcase_create("work");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, checks_pass_and_can_fail, 0, ARRAY_SIZE(cases));
    tcase_add_test(tests, costs_are_counted);
    tcase_add_test(tests, numbers_reach_the_device);
    suite_add_tcase(suite, tests);
    return suite;
}
