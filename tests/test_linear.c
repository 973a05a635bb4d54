/* linear: products that nothing but a bias is added to, which kernels may store in a way of their
 * own, on every kernel; the options of a random example are seldom so. */
#include "gpu_cases.h"
#include "ops/check.h"

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

Suite *linear_suite(void)
{
    Suite *suite = suite_create("linear");
    TCase *kernels = tcase_create("kernels");
    tcase_set_tags(kernels, "kernels");
    tcase_add_unchecked_fixture(kernels, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(kernels, every_kernel_adds_the_bias, 0, 2);
    suite_add_tcase(suite, kernels);
    return suite;
}
