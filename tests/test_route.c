/* route: logits at the ends of what a float holds, as masks are, on every kernel that routes. */
#include "gpu_cases.h"
#include "ops/check.h"
#include "ops/random.h"
#include <float.h>
#include <string.h>

/* ---- the reference ---- */

START_TEST(masked_heads_are_last)
{
    float logits[] = {-FLT_MAX, -FLT_MAX, -FLT_MAX, 1}, prob[4];
    uint32_t head[2];
    struct op_call call = {.op = &op_route};
    call.params.route =
        (struct route_params){.batch = 1, .groups = 1, .heads = 2, .n = 2, .queries = 2};
    call.tensors[ROUTE_LOGITS] = (struct tensor){.elements = ARRAY_SIZE(logits), .host = logits};
    call.tensors[ROUTE_HEAD] = (struct tensor){.type = ELEMENT_U32, .elements = 2, .host = head};
    call.tensors[ROUTE_PROB] = (struct tensor){.elements = ARRAY_SIZE(prob), .host = prob};
    op_route.reference(&call);
    ck_assert(head[0] == 0 && head[1] == 1);
    ck_assert(prob[0] == 0.5f && prob[1] == 1);
    call.options[OPTION_ROUTING] = ROUTING_SOFT;
    op_route.reference(&call);
    ck_assert(prob[0] == 0.5f && prob[1] == 0.5f && prob[2] == 0 && prob[3] == 1);
}
END_TEST

/* ---- every kernel ---- */

/* Rows with all heads masked, all but one, one far below the others, and as they were. */
static void mask(struct random *random, const struct tensor *logits, uint32_t heads)
{
    const double most = FLT_MAX;
    for (uint64_t row = 0; row + heads <= logits->elements; row += heads) {
        uint32_t kind = random_between(random, 0, 3), one = random_between(random, 0, heads - 1);
        for (uint32_t h = 0; h < heads && kind < 2; h++)
            if (kind == 0 || h != one)
                tensor_set(logits, row + h, -most);
        if (kind == 2) {
            tensor_set(logits, row + one, most);
            tensor_set(logits, row + (one + 1) % heads, -most);
        }
    }
}

static void mask_route(struct random *random, const struct op_call *call)
{
    op_route.prepare(random, call);
    mask(random, &call->tensors[ROUTE_LOGITS], call->params.route.heads);
}

static void mask_readout(struct random *random, const struct op_call *call)
{
    op_readout.prepare(random, call);
    mask(random, &call->tensors[READOUT_LOGITS], call->params.readout.heads);
}

static const struct {
    const struct op *op;
    void (*prepare)(struct random *random, const struct op_call *call);
    uint32_t options[OP_MAX_OPTIONS];
} masked[] = {
    {&op_route, mask_route, {[OPTION_ROUTING] = ROUTING_TOP1, [OPTION_ROUTER] = ROUTER_LOGITS}},
    {&op_route, mask_route, {[OPTION_ROUTING] = ROUTING_SOFT, [OPTION_ROUTER] = ROUTER_LOGITS}},
    {&op_readout,
     mask_readout,
     {[OPTION_ROUTING] = ROUTING_TOP1, [OPTION_ROUTER] = ROUTER_LOGITS, [OPTION_FUSED] = 1}},
};

START_TEST(every_kernel_takes_masks)
{
    struct op op = *masked[_i].op;
    struct op_call like = {.op = &op};
    uint32_t checked = 0;
    op.prepare = masked[_i].prepare;
    memcpy(like.options, masked[_i].options, sizeof(like.options));
    for (uint32_t i = 0; i < op.candidate_count; i++) { /* no half comes near the least float */
        struct op_check_report report;
        ck_assert_ok(op_check_like(test_device, &like, &op.candidates[i], ELEMENT_F32, test_seed(),
                                   4, &report));
        ck_assert_msg(report.ok, "%s.%s: %s (error %g)", report.op, report.candidate, report.why,
                      report.worst);
        checked += report.cases > 0;
    }
    /* With no more than four storage buffers a shader one kernel is left. */
    ck_assert_uint_ge(checked, test_device->limits.storage_buffers > 4 ? 2 : 1);
}
END_TEST

Suite *route_suite(void)
{
    Suite *suite = suite_create("route");
    TCase *reference = tcase_create("reference"), *kernels = tcase_create("kernels");
    tcase_add_test(reference, masked_heads_are_last);
    suite_add_tcase(suite, reference);
    tcase_set_tags(kernels, "kernels");
    tcase_add_unchecked_fixture(kernels, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(kernels, every_kernel_takes_masks, 0, (int)ARRAY_SIZE(masked));
    suite_add_tcase(suite, kernels);
    return suite;
}
