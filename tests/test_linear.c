/* linear: products that nothing but a bias is added to, rows longer than loops may be, residuals
 * where the output is. */
#include "gpu_cases.h"
#include "ops/check.h"
#include "ops/example.h"
#include "ops/random.h"
#include <string.h>

/* Kernels may store these in a way of their own; the options of a random example are seldom so. */
START_TEST(every_kernel_adds_the_bias)
{
    static const enum element_type types[] = {ELEMENT_F32, ELEMENT_F16};
    const struct op_call like = {.op = &op_linear, .options = {[OPTION_BIAS] = 1}};
    uint32_t checked = 0;
    for (uint32_t i = 0; i < op_linear.candidate_count; i++) {
        struct op_check_report report;
        ck_assert_ok(op_check_like(test_device, &like, &op_linear.candidates[i], types[_i],
                                   test_seed(), 4, &report));
        ck_assert_msg(report.ok, "%s: %s (error %g)", report.candidate, report.why, report.worst);
        checked += report.cases > 0;
    }
    ck_assert_uint_ge(checked, 1);
}
END_TEST

/* ---- long rows ---- */

enum { LONG = 80001 }; /* quads, an odd number: lavapipe ends loops after 65,535 iterations */

static void long_product(struct random *random, enum element_type type, struct op_call *call)
{
    (void)random;
    call->params.linear = (struct linear_params){
        .rows = 3, .k4 = LONG, .n4 = 2, .a_row = LONG, .w_row = 2, .c_row = 2};
    example_tensor(call, LINEAR_A, type, 4 * 3 * LONG);
    example_tensor(call, LINEAR_W, type, 4 * LONG * 4 * 2);
    example_tensor(call, LINEAR_C, type, 4 * 3 * 2);
}

static void long_norm(struct random *random, enum element_type type, struct op_call *call)
{
    call->params.norm = (struct norm_params){
        .rows = 2, .columns = 4 * LONG - 1, .x_row = LONG, .y_row = LONG, .eps = 1e-5f};
    call->options[OPTION_MOMENTS] = random_between(random, 0, 1);
    example_tensor(call, NORM_X, type, 4 * 2 * LONG);
    example_tensor(call, NORM_Y, call->options[OPTION_MOMENTS] ? ELEMENT_F32 : type, 4 * 2 * LONG);
    if (call->options[OPTION_MOMENTS])
        return;
    example_tensor(call, NORM_WEIGHT, type, 4 * LONG);
    example_tensor(call, NORM_BIAS, type, 4 * LONG);
}

static const struct {
    const struct op *op;
    void (*example)(struct random *random, enum element_type type, struct op_call *call);
} long_rows[] = {{&op_linear, long_product}, {&op_norm, long_norm}};

/* A kernel that would go round too often is not taken; one at least is left. Sums that long round
 * more than others do. */
START_TEST(long_rows_are_whole)
{
    struct op op = *long_rows[_i].op;
    uint32_t checked = 0;
    op.example = long_rows[_i].example;
    for (uint32_t i = 0; i < op.candidate_count; i++) {
        struct op_check_report report;
        ck_assert_ok(op_check(test_device, &op, &op.candidates[i], ELEMENT_F32, test_seed(), 2,
                              &report));
        bool rounded = report.worst < 1e-4 && strstr(report.why, "the error is too large");
        ck_assert_msg(report.ok || rounded, "%s.%s: %s (error %g)", op.name, report.candidate,
                      report.why, report.worst);
        checked += report.cases > 0;
    }
    ck_assert_uint_ge(checked, 1);
}
END_TEST

/* ---- residuals in place ---- */

/* Gives a host tensor of f32 memory on the device; the caller destroys the buffer. */
static void upload(struct tensor *tensor)
{
    tensor->buffer = device_buffer(4 * tensor->elements);
    ck_assert_ok(gpu_buffer_write(tensor->buffer, 0, tensor->host, 4 * tensor->elements));
}

/* C = A W + C with all sizes odd; A, W and C hold small whole numbers, so that sums are exact. */
START_TEST(residual_may_be_the_output)
{
    enum { ROWS = 77, K4 = 3, N4 = 5 };
    static float a[ROWS * K4 * 4], w[K4 * 4 * N4 * 4], c[ROWS * N4 * 4], found[ROWS * N4 * 4];
    struct random random = random_seed(test_seed());
    struct op_call call = {.op = &op_linear, .options = {[OPTION_RESIDUAL] = 1}};
    call.params.linear = (struct linear_params){
        .rows = ROWS, .k4 = K4, .n4 = N4, .a_row = K4, .w_row = N4, .c_row = N4};
    call.tensors[LINEAR_A] = (struct tensor){.elements = ARRAY_SIZE(a), .host = a};
    call.tensors[LINEAR_W] = (struct tensor){.elements = ARRAY_SIZE(w), .host = w};
    call.tensors[LINEAR_C] = (struct tensor){.elements = ARRAY_SIZE(c), .host = c};
    for (uint32_t i = LINEAR_A; i <= LINEAR_C; i++)
        for (uint64_t j = 0; j < call.tensors[i].elements; j++)
            tensor_set(&call.tensors[i], j, random_between(&random, 0, 8) - 4.0);
    upload(&call.tensors[LINEAR_A]);
    upload(&call.tensors[LINEAR_W]);
    upload(&call.tensors[LINEAR_C]);
    call.tensors[LINEAR_RESIDUAL] = call.tensors[LINEAR_C];

    run_op_call(&call);
    ck_assert_ok(gpu_buffer_read(call.tensors[LINEAR_C].buffer, 0, found, sizeof(found)));
    op_linear.reference(&call);
    ck_assert_mem_eq(found, c, sizeof(c));

    for (uint32_t i = LINEAR_A; i <= LINEAR_C; i++)
        if (i != LINEAR_RESIDUAL)
            gpu_buffer_destroy(call.tensors[i].buffer);
}
END_TEST

Suite *linear_suite(void)
{
    Suite *suite = suite_create("linear");
    TCase *kernels = tcase_create("kernels");
    tcase_set_tags(kernels, "kernels");
    tcase_add_unchecked_fixture(kernels, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(kernels, every_kernel_adds_the_bias, 0, 2);
    tcase_add_loop_test(kernels, long_rows_are_whole, 0, ARRAY_SIZE(long_rows));
    tcase_add_test(kernels, residual_may_be_the_output);
    suite_add_tcase(suite, kernels);
    return suite;
}
