/* ops: kernels against reference loops, on every candidate that the device has what it needs for.
 */
#include "gpu/needs.h"
#include "gpu_cases.h"
#include "ops/check.h"
#include "ops/random.h"
#include "ops/tune.h"
#include <float.h>
#include <math.h>
#include <string.h>

#define CASES EXAMPLES(8, 3) /* with the same options: each kernel is compiled once */

/* ---- every op, every candidate ---- */

static const struct op_candidate *reported(const struct op_check_report *report)
{
    const struct op_candidate *candidate = op_find(report->op)->candidates;
    while (strcmp(candidate->name, report->candidate) != 0)
        candidate++;
    return candidate;
}

/* Whether the device may lack what a candidate needs. One that needs nothing, no more buffers than
 * the device binds, and is as small as any device allows, runs everywhere; but the stand-ins for
 * matrices of halves, which have no f32. */
static bool may_be_refused(const struct op_check_report *report)
{
    const struct op_candidate *candidate = reported(report);
    return (candidate->need & ~(uint32_t)NEED_HINTS) || candidate->group > 128 ||
           (report->type == ELEMENT_F32 && candidate->target == CLASS_NONE) ||
           gpu_shader_needs(test_device, candidate->shader, NULL, 0).storage_buffers >
               test_device->limits.storage_buffers;
}

/* All cases, or none for want of what the device lacks: a candidate for which no shape could be
 * drawn would else pass unchecked. */
static void check_report(void *user, const struct op_check_report *report)
{
    uint32_t *checked = user;
    const char *type = report->type == ELEMENT_F16 ? "f16" : "f32";
    ck_assert_msg(report->ok, "%s.%s on %s: %s (error %g)", report->op, report->candidate, type,
                  report->why, report->worst);
    ck_assert_msg(report->cases == CASES || (report->cases == 0 && may_be_refused(report)) ||
                      op_stand_in(op_find(report->op), reported(report)),
                  "%s.%s on %s: %u cases of %d", report->op, report->candidate, type, report->cases,
                  CASES);
    *checked += report->cases > 0;
}

START_TEST(candidates_match_the_reference)
{
    uint32_t checked = 0;
    const struct op_check_params params = {.op = op_list[_i]->name,
                                           .seed = test_seed(),
                                           .cases = CASES,
                                           .report = check_report,
                                           .user = &checked};
    ck_assert_ok(op_check_all(test_device, &params));
    ck_assert_uint_ge(checked, 2); /* the portable one, with both storage types */
}
END_TEST

static bool always(void)
{
    return true;
}

START_TEST(checks_stop_when_asked_to)
{
    uint32_t checked = 0;
    const struct op_check_params params = {
        .cases = CASES, .report = check_report, .user = &checked, .stop = always};
    ck_assert_ok(op_check_all(test_device, &params));
    ck_assert_uint_eq(checked, 0);
}
END_TEST

/* ---- a driver that is wrong now and then ---- */

static struct {
    PFN_vkCmdDispatch dispatch;
    uint32_t count, lost; /* the dispatch number `lost`, from 1, is never recorded */
} forgetful;

static VKAPI_ATTR void VKAPI_CALL dispatch_but_one(VkCommandBuffer command, uint32_t x, uint32_t y,
                                                   uint32_t z)
{
    if (++forgetful.count != forgetful.lost)
        forgetful.dispatch(command, x, y, z);
}

/* Checks one case of layer norm without its dispatch number `lost`; 0: with all of them. */
static void check_without(uint32_t lost, struct op_check_report *report)
{
    const struct op *op = &op_norm;
    forgetful.dispatch = test_device->vk.vkCmdDispatch;
    forgetful.count = 0;
    forgetful.lost = lost;
    test_device->vk.vkCmdDispatch = dispatch_but_one;
    status result = op_check(test_device, op, &op->candidates[op->candidate_count - 1], ELEMENT_F32,
                             test_seed(), 1, report);
    test_device->vk.vkCmdDispatch = forgetful.dispatch;
    ck_assert_ok(result);
}

/* A case is run whole, whole again, and in pieces: how many depends on the device. */
START_TEST(lost_dispatches_are_found)
{
    /* A first run that is lost differs from the second, too. */
    static const char *const whys[] = {"a second run differs", "a second run differs",
                                       "the run in pieces differs"};
    struct op_check_report report = {0};
    check_without(0, &report);
    ck_assert(report.ok);
    report = (struct op_check_report){0};
    check_without(_i < 2 ? (uint32_t)_i + 1 : forgetful.count, &report);
    ck_assert(!report.ok);
    ck_assert_msg(strstr(report.why, whys[_i]), "%s", report.why);
}
END_TEST

/* ---- ranges of numbers ---- */

static const struct {
    double state, normaliser; /* what S and z are multiplied by */
    float eps;
} scales[] = {{1e18, 1, 1e-6f}, {1e-18, 1, 1e-6f}, {1e6, 1e6, 1e-6f}, {1e-30, 1e-30, FLT_MIN}};

static uint32_t scale_at;

static void example_of_eps(struct random *random, enum element_type type, struct op_call *call)
{
    op_readout.example(random, type, call);
    call->params.readout.eps = scales[scale_at].eps;
}

/* Of each block S, then z. */
static void scale_states(struct random *random, const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    const struct tensor *s = &call->tensors[READOUT_S];
    const uint64_t states = 16 * (uint64_t)p->dk4 * p->dv4, block = states + 4 * p->dk4;
    op_readout.prepare(random, call);
    for (uint64_t i = 0; i < s->elements; i++) {
        bool state = i % block < states;
        double factor = state ? scales[scale_at].state : scales[scale_at].normaliser;
        tensor_set(s, i, tensor_get(s, i) * factor);
    }
}

/* Readouts whose values or whose weights are vast or tiny, where halves make them. */
START_TEST(readouts_hold_any_scale)
{
    struct op op = op_readout;
    op.example = example_of_eps;
    op.prepare = scale_states;
    for (uint32_t i = 0; i < op.candidate_count; i++)
        for (scale_at = 0; scale_at < ARRAY_SIZE(scales); scale_at++) {
            struct op_check_report report = {0};
            if (op.candidates[i].target != CLASS_NONE)
                continue;
            ck_assert_ok(op_check(test_device, &op, &op.candidates[i], ELEMENT_F32, test_seed(), 3,
                                  &report));
            ck_assert_msg(report.ok, "%s, %u: %s (error %g)", report.candidate, scale_at,
                          report.why, report.worst);
        }
}
END_TEST

/* ---- small bindings ---- */

/* The last one that this device's limits allow. */
static const struct op_candidate *portable_candidate(const struct op *op)
{
    struct random random = random_seed(test_seed());
    struct op_call call = {.op = op};
    op->example(&random, ELEMENT_F32, &call);
    uint32_t i = op->candidate_count - 1;
    while (i > 0 && !op_satisfies(test_device, &call, &op->candidates[i]))
        i--;
    return &op->candidates[i];
}

/* The least range of a storage buffer that one item fits, and what splits to keep to it. An item of
 * the states took 8 MiB of what was drawn; Vulkan requires 128 MiB of every device. */
START_TEST(small_ranges_are_kept_to)
{
    const struct op *op = op_list[_i];
    const struct op_candidate *candidate = portable_candidate(op);
    const struct gpu_limits limits = test_device->limits;
    struct op_check_report report = {0};
    status result = STATUS_UNSUPPORTED;
    for (uint64_t range = 1024; result == STATUS_UNSUPPORTED || report.cases < CASES; range *= 2) {
        ck_assert_uint_le(range, 1 << 24);
        test_device->limits.storage_range = range;
        result = op_check(test_device, op, candidate, ELEMENT_F32, test_seed(), CASES, &report);
    }
    test_device->limits = limits;
    ck_assert_ok(result);
    ck_assert_msg(report.ok, "%s: %s", op->name, report.why);
}
END_TEST

/* ---- no kernel ---- */

/* Buffers that cannot be read as texels, of a call with more of them than a shader may bind. */
START_TEST(calls_that_nothing_runs_are_refused)
{
    const struct gpu_limits limits = test_device->limits;
    struct random random = random_seed(test_seed());
    struct op_call call;
    struct gpu_commands *commands;
    do {
        call = (struct op_call){.op = &op_linear};
        op_linear.example(&random, ELEMENT_F32, &call);
    } while (!call.options[OPTION_BIAS] || call.options[OPTION_NORMED]);
    for (uint32_t i = 0; i < op_linear.tensor_count; i++)
        if (call.tensors[i].elements) {
            call.tensors[i].buffer = device_buffer(4 * call.tensors[i].elements);
            call.tensors[i].buffer->texel = false;
        }
    ck_assert_ok(gpu_commands_create(test_device, &(struct gpu_commands_params){0}, &commands));
    test_device->limits.storage_buffers = 4;
    ck_assert_ptr_null(op_choose(test_device, &call));
    ck_assert_fails(op_record(commands, &call, NULL), STATUS_UNSUPPORTED,
                    "tile_few needs uniform texel usage of a buffer that was made without; tile "
                    "needs more storage buffers");
    call.tensors[LINEAR_BIAS].buffer->texel = true; /* the others, being storage, need not */
    ck_assert_str_eq(op_choose(test_device, &call)->name, "tile_few");
    test_device->limits = limits;
    ck_assert_ok(op_record(commands, &call, NULL));
    gpu_commands_destroy(commands);
    for (uint32_t i = 0; i < op_linear.tensor_count; i++)
        gpu_buffer_destroy(call.tensors[i].buffer);
}
END_TEST

/* Kernels of large calls, when they are measured. */
static bool is_large(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->params.norm.rows > SHAPE_ROWS;
}

/* Half of the rows are not done by "large" and what stands in for it. */
static uint64_t half_of_large(const struct op_call *call, const struct op_candidate *candidate)
{
    return op_norm.items(call, candidate) / (strncmp(candidate->name, "large", 5) ? 1 : 2);
}

static void keep_report(void *user, const struct op_tune_report *report)
{
    ((struct op_tune_report *)user)[report->outcome == OP_TUNE_WRONG] = *report;
}

/* They are the usual ones there, and compared though no call that large is drawn. */
START_TEST(kernels_of_large_calls_take_part)
{
    static const struct op_candidate rows[] = {
        {.name = "large", .shader = SHADER_norm, .group = 64, .tiles = {64, 1}, is_large},
        {"large_check", SHADER_norm, NEED_NOTHING, CLASS_NONE, 64, {64, 1}, NULL},
        {.name = "whole", .shader = SHADER_norm, .group = 64, .tiles = {64, 1}},
        {.name = "same", .shader = SHADER_norm, .group = 64, .tiles = {64, 1}},
    };
    struct op_tune_report reports[2] = {{.rows = 0}};
    const struct op_tune_params to = {.report = keep_report, .user = reports};
    struct op_tuning tuning = {.device = test_device, .params = &to, .end_ms = 1e300};
    struct op_choices choices = {{CHOICE_NONE}};
    struct op op = op_norm;
    op.candidates = rows, op.candidate_count = ARRAY_SIZE(rows), op.items = half_of_large;
    struct op_shape shape = op_shapes[0];
    for (uint32_t i = 1; shape.op != &op_norm; i++)
        shape = op_shapes[i];
    shape.op = &op;
    ck_assert_ok(op_tune_shape(&tuning, &shape, &choices));
    bool large = reports[0].rows > SHAPE_ROWS;
    ck_assert_str_eq(reports[0].usual->name, large ? "large" : "whole");
    ck_assert_ptr_eq(reports[1].best, large ? &rows[0] : NULL);
}
END_TEST

/* ---- choice, on devices that are made up ---- */

static bool accepts_few_rows(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->params.linear.rows < 10;
}

static const struct op_candidate made_up[] = {
    {.name = "few", .group = 64, .accepts = accepts_few_rows},
    {.name = "texel",
     .shader = SHADER_linear_lane_texel,
     .need = NEED_SHUFFLE | NEED_TEXEL,
     .target = CLASS_CPU,
     .group = 8},
    {.name = "shuffle", .need = NEED_SHUFFLE, .target = CLASS_CPU, .group = 8},
    {.name = "large", .target = CLASS_GPU, .group = 256},
    {.name = "quad", .need = NEED_QUAD, .target = CLASS_GPU, .group = 128},
    {.name = "portable", .target = CLASS_CPU, .group = 64},
};
static const struct op made_up_op = {
    .tensor_count = 2, .candidates = made_up, .candidate_count = ARRAY_SIZE(made_up)};

static const struct {
    const char *expected;
    enum gpu_device_type type;
    uint32_t subgroup, rows, invocations;
    uint64_t texels;
    bool shuffle, texel_f16, quad, halves;
} choices[] = {
    {"few", GPU_CPU, 8, 9, 1024, 1 << 27, true, true, true, false},
    {"texel", GPU_CPU, 8, 10, 1024, 1 << 27, true, true, true, false},
    {"texel", GPU_CPU, 8, 10, 1024, 1 << 27, true, false, true, false},
    {"shuffle", GPU_CPU, 8, 10, 1024, 1 << 27, true, false, true, true}, /* no texels of halves */
    {"shuffle", GPU_CPU, 8, 10, 1024, 1 << 20, true, true, true, false}, /* views too small */
    {"portable", GPU_CPU, 4, 10, 1024, 1 << 27, true, true, true, false},
    {"portable", GPU_CPU, 8, 10, 1024, 1 << 27, false, true, true, false},
    {"large", GPU_DISCRETE, 8, 10, 1024, 1 << 27, true, true, true, false},
    {"quad", GPU_DISCRETE, 8, 10, 128, 1 << 27, true, true, true, false},
    {"portable", GPU_DISCRETE, 8, 10, 128, 1 << 27, true, true, false, false}, /* another class */
    {"large", GPU_INTEGRATED, 64, 10, 256, 1 << 16, false, false, false, true},
};

START_TEST(choice_follows_the_device)
{
    struct gpu_device device = {
        .info.type = choices[_i].type,
        .limits = {.storage_range = 1 << 27,
                   .texel_elements = choices[_i].texels,
                   .group_size = {choices[_i].invocations},
                   .group_invocations = choices[_i].invocations,
                   .shared_bytes = 16384,
                   .push_bytes = 128,
                   .storage_buffers = 8,
                   .loop_iterations = UINT32_MAX},
        .features = {.subgroup_size = choices[_i].subgroup,
                     .subgroup_shuffle = choices[_i].shuffle,
                     .texel_f32 = true,
                     .texel_f16 = choices[_i].texel_f16,
                     .subgroup_quad = choices[_i].quad},
    };
    struct op_call call = {.op = &made_up_op, .params.linear.rows = choices[_i].rows};
    call.tensors[1].type = choices[_i].halves ? ELEMENT_F16 : ELEMENT_F32;
    ck_assert_str_eq(op_choose(&device, &call)->name, choices[_i].expected);
}
END_TEST

/* A workgroup is one subgroup by requirement, where the device can be required to make it so. */
START_TEST(subgroups_are_required)
{
    static const uint32_t rows[][3] = {{0, 0, 0}, {8, 8, 8}, {4, 32, 8}, {16, 32, 0}, {2, 4, 0}};
    const struct op_call call = {.op = &made_up_op};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct gpu_device device = {
            .features = {.subgroup_least = rows[i][0], .subgroup_most = rows[i][1]}};
        ck_assert_uint_eq(op_pipeline_key(&device, &call, &made_up[2]).values[ID_SUBGROUP],
                          rows[i][2]);
        ck_assert_uint_eq(op_pipeline_key(&device, &call, &made_up[3]).values[ID_SUBGROUP], 0);
    }
}
END_TEST

START_TEST(names_find_ops)
{
    ck_assert_ptr_eq(op_find(op_list[_i]->name), op_list[_i]);
    ck_assert_ptr_null(op_find("no such op"));
    const struct op *op = op_list[_i];
    const struct op_candidate *last = &op->candidates[op->candidate_count - 1];
    ck_assert_uint_eq(last->need, NEED_NOTHING);
    ck_assert_uint_le(last->group, 128);
    ck_assert(last->accepts == NULL);
    for (uint32_t i = 0; i < op->candidate_count; i++)
        for (uint32_t j = 0; j < i; j++)
            ck_assert_str_ne(op->candidates[i].name, op->candidates[j].name);
}
END_TEST

Suite *ops_suite(void)
{
    Suite *suite = suite_create("ops");
    TCase *choice = tcase_create("choice");
    tcase_add_loop_test(choice, choice_follows_the_device, 0, (int)ARRAY_SIZE(choices));
    tcase_add_test(choice, subgroups_are_required);
    tcase_add_loop_test(choice, names_find_ops, 0, (int)op_count);
    suite_add_tcase(suite, choice);
    TCase *kernels = tcase_create("kernels");
    tcase_set_tags(kernels, "kernels");
    tcase_add_unchecked_fixture(kernels, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(kernels, candidates_match_the_reference, 0, (int)op_count);
    tcase_add_test(kernels, checks_stop_when_asked_to);
    tcase_add_loop_test(kernels, lost_dispatches_are_found, 0, 3);
    tcase_add_test(kernels, readouts_hold_any_scale);
    tcase_add_test(kernels, kernels_of_large_calls_take_part);
    tcase_add_loop_test(kernels, small_ranges_are_kept_to, 0, (int)op_count);
    tcase_add_test(kernels, calls_that_nothing_runs_are_refused);
    suite_add_tcase(suite, kernels);
    return suite;
}
