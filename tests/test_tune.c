/* tune: measuring candidates, and what contexts make of it. */
#include "adamra_tune.h"
#include "attention_cases.h"
#include "context.h"
#include "ops/tune.h"
#include "stream_cases.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- contexts ---- */

/* A context that keeps things in the test's folder. */
static adamra_context *open_context(adamra_context_params params)
{
    const adamra_cache cache = {.folder = test_folder};
    adamra_context *context;
    params.cache = &cache;
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    return context;
}

static void close_context(adamra_context *context)
{
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
    adamra_context_destroy(context);
}

static uint32_t tuned(adamra_context *context)
{
    adamra_device_info info;
    ck_assert_int_eq(adamra_context_device(context, &info), ADAMRA_OK);
    return info.tuned;
}

/* ---- one shape ---- */

struct notes {
    struct op_tune_report last;
    uint32_t counts[OP_TUNE_LEFT + 1];
    const struct op_candidate *wrong;
};

static void note(void *user, const struct op_tune_report *report)
{
    struct notes *notes = user;
    notes->counts[report->outcome]++;
    if (report->outcome == OP_TUNE_WRONG)
        notes->wrong = report->best;
    else
        notes->last = *report;
}

static void tune_shape(adamra_context *context, const struct op_shape *shape, double seconds,
                       enum element_type type, struct op_choices *choices, struct notes *notes)
{
    const struct op_tune_params params = {
        .type = type, .max_ms = 1e3 * seconds, .report = note, .user = notes};
    struct op_tuning tuning = {.device = context->device,
                               .params = &params,
                               .random = random_seed(1),
                               .end_ms = context_clock_ms() + params.max_ms};
    *notes = (struct notes){.wrong = NULL};
    ck_assert_msg(!op_tune_shape(&tuning, shape, choices), "%s", adamra_error(context));
}

static const struct op_shape *shape_of(const struct op *op)
{
    uint32_t i = 0;
    while (op_shapes[i].op != op)
        i++;
    return &op_shapes[i];
}

#define ENOUGH 600 /* seconds: the machine may do other things too */

START_TEST(the_best_candidate_is_entered)
{
    const enum element_type type = _i ? ELEMENT_F16 : ELEMENT_F32;
    const struct op_shape *shape = shape_of(&op_norm);
    adamra_context *context = open_context(test_context_params());
    struct op_choices choices = {{CHOICE_NONE}};
    struct notes notes;
    tune_shape(context, shape, ENOUGH, type, &choices, &notes);
    const struct op_tune_report *report = &notes.last;
    const struct op_call call = op_shape_call(shape, type, SHAPE_ROWS);
    uint8_t choice = choices.chosen[op_class_of(&call)];
    ck_assert_uint_eq(notes.counts[OP_TUNE_WRONG], 0);
    ck_assert_ptr_eq(report->shape, shape);
    ck_assert_uint_eq(report->rows % SHAPE_ROWS, 0);
    ck_assert_uint_le(report->rows, shape->rows);
    ck_assert(report->usual_ms > 0 && report->best_ms > 0 && report->best_ms <= report->usual_ms);
    if (report->outcome == OP_TUNE_BETTER) {
        ck_assert_ptr_ne(report->best, report->usual);
        ck_assert_ptr_eq(&shape->op->candidates[choice - 1], report->best);
    } else {
        ck_assert_int_eq(report->outcome, OP_TUNE_USUAL);
        ck_assert_uint_eq(choice, CHOICE_USUAL);
    }
    close_context(context);
}
END_TEST

/* Half of the rows of what "short" should do are not done. */
static uint64_t short_items(const struct op_call *call, const struct op_candidate *candidate)
{
    uint64_t items = op_norm.items(call, candidate);
    return strcmp(candidate->name, "short") ? items : items / 2;
}

/* Also where the wrong one is the usual one: then another one has to run. */
START_TEST(a_wrong_candidate_is_named_and_not_chosen)
{
    const struct op_candidate whole = {
        .name = "whole", .shader = SHADER_norm, .group = 64, .tiles = {64, 1}};
    struct op_candidate candidates[] = {whole, whole};
    struct op op = op_norm;
    struct op_shape shape = *shape_of(&op_norm);
    struct op_choices choices = {{CHOICE_NONE}};
    struct notes notes;
    adamra_context *context = open_context(test_context_params());
    op.items = short_items;
    candidates[_i == 0].name = "short";
    op.candidates = candidates;
    op.candidate_count = 2;
    shape.op = &op;
    tune_shape(context, &shape, ENOUGH, ELEMENT_F32, &choices, &notes);
    ck_assert_uint_eq(notes.counts[OP_TUNE_WRONG], 1);
    ck_assert_str_eq(notes.wrong->name, "short");
    ck_assert_str_eq(notes.last.best->name, "whole");
    ck_assert_int_eq(notes.last.outcome, _i ? OP_TUNE_BETTER : OP_TUNE_USUAL);
    close_context(context);
}
END_TEST

START_TEST(one_candidate_is_no_choice)
{
    struct op op = op_norm;
    struct op_shape shape = *shape_of(&op_norm);
    struct op_choices choices = {{CHOICE_NONE}};
    struct notes notes;
    adamra_context *context = open_context(test_context_params());
    op.candidates = &op_norm.candidates[op_norm.candidate_count - 1];
    op.candidate_count = 1;
    shape.op = &op;
    tune_shape(context, &shape, ENOUGH, ELEMENT_F32, &choices, &notes);
    for (uint32_t i = 0; i <= OP_TUNE_LEFT; i++)
        ck_assert_uint_eq(notes.counts[i], 0);
    close_context(context);
}
END_TEST

/* ---- adamra_tune ---- */

struct watch {
    uint32_t reports, left, progress, cancel_at;
    double done;
};

static void watch_report(void *user, const adamra_tune_report *report)
{
    struct watch *watch = user;
    watch->reports++;
    watch->left += report->outcome == ADAMRA_TUNE_LEFT;
    ck_assert(report->op && report->shape && report->usual && report->why);
    ck_assert_int_eq(report->best == NULL, report->outcome == ADAMRA_TUNE_LEFT);
}

static int watch_progress(void *user, double done)
{
    struct watch *watch = user;
    ck_assert_msg(done >= watch->done && done <= 1, "%g after %g", done, watch->done);
    watch->done = done;
    return ++watch->progress == watch->cancel_at;
}

/* Far less than the first shape takes. */
static const adamra_tune_params in_no_time = {.max_seconds = 1e-6};

START_TEST(what_is_not_reached_is_said)
{
    struct watch watch = {0};
    adamra_context_params params = test_context_params();
    params.log = NULL;
    params.progress = watch_progress;
    params.user = &watch;
    params.limits = NULL;
    adamra_context *context = open_context(params);
    int kept = 2;
    const adamra_tune_params tune = {
        .max_seconds = in_no_time.max_seconds, .report = watch_report, .user = &watch};
    ck_assert_int_eq(adamra_tune(context, &tune, &kept), ADAMRA_OK);
    ck_assert_int_eq(kept, 0);
    ck_assert_uint_gt(watch.left, 0);
    ck_assert_uint_eq(watch.left, watch.reports);
    ck_assert_double_eq(watch.done, 1);
    ck_assert_uint_eq(tuned(context), 0);
    close_context(context);
}
END_TEST

START_TEST(tuning_cancelled_at_once_changes_nothing)
{
    struct watch watch = {.cancel_at = 2};
    adamra_context_params params = test_context_params();
    struct op_choices kept;
    params.log = NULL;
    params.progress = watch_progress;
    params.user = &watch;
    adamra_context *context = open_context(params);
    struct gpu_device *device = context->device;
    ck_assert_int_eq(adamra_tune(context, &in_no_time, NULL), ADAMRA_CANCELLED);
    watch = (struct watch){0};
    adamra_cancel(context);
    ck_assert_int_eq(adamra_tune(context, NULL, NULL), ADAMRA_CANCELLED);
    ck_assert_ptr_null(device->choices);
    ck_assert(!op_choices_load(device, &device->store, &kept));
    close_context(context);
}
END_TEST

START_TEST(wrong_parameters_are_refused)
{
    static const struct {
        adamra_tune_params params;
        const char *why;
    } rows[] = {
        {{.type = (adamra_type)2}, "type: expected"},
        {{.max_seconds = -1}, "max_seconds: expected a number >= 0, got -1"},
        {{.max_seconds = NAN}, "max_seconds"},
        {{.max_seconds = INFINITY}, "max_seconds"},
    };
    adamra_context *context = attention_context();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_int_eq(adamra_tune(context, &rows[i].params, NULL), ADAMRA_INVALID_ARGUMENT);
        ck_assert_msg(strstr(adamra_error(context), rows[i].why), "%s", adamra_error(context));
    }
    ck_assert_int_eq(adamra_tune(NULL, NULL, NULL), ADAMRA_INVALID_ARGUMENT);
}
END_TEST

/* ---- what contexts do with it ---- */

/* Every class of shapes runs the op's candidate `number`, where it can. */
static struct op_choices all_run(uint32_t number)
{
    static const enum element_type types[] = {ELEMENT_F32, ELEMENT_F16};
    struct op_choices choices = {{CHOICE_NONE}};
    for (uint32_t i = 0; i < op_shape_count; i++)
        for (uint32_t type = 0; type < ARRAY_SIZE(types); type++) {
            const struct op_call call = op_shape_call(&op_shapes[i], types[type], SHAPE_ROWS);
            uint32_t last = call.op->candidate_count - 1;
            op_choices_set(&choices, &call, &call.op->candidates[size_min(number, last)]);
        }
    return choices;
}

/* The last line of information. */
static void keep_information(void *user, adamra_log_level level, const char *text)
{
    if (level == ADAMRA_LOG_INFO)
        snprintf(user, 128, "%s", text);
}

START_TEST(contexts_use_what_is_kept)
{
    const struct op_choices choices = all_run(1);
    adamra_context_params params = test_context_params();
    adamra_context *context = open_context(params);
    ck_assert_uint_eq(tuned(context), 0);
    ck_assert(op_choices_keep(context->device, &context->device->store, &choices));
    close_context(context);

    char said[128] = "", expected[128];
    params.log = keep_information;
    params.user = said;
    context = open_context(params);
    snprintf(expected, sizeof(expected), "tuned kernels: %u", op_choices_count(&choices));
    ck_assert_str_eq(said, expected);
    ck_assert_uint_eq(tuned(context), op_choices_count(&choices));
    ck_assert_mem_eq(context->device->choices, &choices, sizeof(choices));
    close_context(context);

    params.log = NULL;
    params.no_tune = 1;
    context = open_context(params);
    ck_assert_uint_eq(tuned(context), 0);
    ck_assert_ptr_null(context->device->choices);
    ck_assert_int_eq(adamra_tune(context, &in_no_time, NULL), ADAMRA_OK);
    ck_assert_ptr_null(context->device->choices);
    close_context(context);

    params.no_tune = 0;
    params.limits = "groups=9";
    int kept = 1;
    context = open_context(params);
    ck_assert_int_eq(adamra_tune(context, &in_no_time, &kept), ADAMRA_OK);
    ck_assert_int_eq(kept, 0); /* what a lowered device prefers is not the device's */
    close_context(context);
}
END_TEST

/* Whatever is chosen: results within the tolerance, and the same bits in each run. */
START_TEST(choices_change_results_by_rounding_only)
{
    static const uint32_t numbers[] = {1, UINT32_MAX};
    const struct op_choices choices = all_run(numbers[_i % 2]);
    adamra_type type = _i / 2 ? ADAMRA_F16 : ADAMRA_F32;
    struct random random = random_seed(test_seed());
    struct attention_case c = {.name = "chosen", .rates = {1, 2, 4}};
    struct attention_result results[2];
    adamra_context *context = open_context(test_context_params());
    ck_assert(op_choices_use(context->device, &choices));
    c.params = (adamra_attention_params){.batch = 2,
                                         .groups = 1,
                                         .heads = 3,
                                         .queries = 150,
                                         .keys = 600, /* several stretches */
                                         .key_width = 64,
                                         .value_width = 64,
                                         .router = ADAMRA_ROUTER_WEIGHT};
    attention_case_draw(&c, &random, true);
    for (uint32_t i = 0; i < 2; i++) {
        attention_result_init(&results[i], &c);
        attention_case_run(context, &c, type, &results[i], NULL);
    }
    attention_case_check(&c, type, &results[0]);
    size_t size = attention_case_outputs(&c) * sizeof(float);
    ck_assert_mem_eq(results[0].y, results[1].y, size);
    for (uint32_t i = 0; i < 2; i++)
        attention_result_finish(&results[i]);
    attention_case_finish(&c);
    close_context(context);
}
END_TEST

/* A stream's pieces run the kernels that the whole would. */
START_TEST(choices_hold_for_streams_too)
{
    const struct op_choices choices = all_run(UINT32_MAX);
    struct random random = random_seed(test_seed());
    struct attention_case c = {.name = "streamed", .rates = {1, 4}};
    struct attention_result whole, pieces;
    adamra_timing timing;
    adamra_context *contexts[] = {open_context(test_context_params()), stream_context(NULL)};
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
        ck_assert(op_choices_use(contexts[i]->device, &choices));
    c.params = (adamra_attention_params){.batch = 1,
                                         .groups = 1,
                                         .heads = 2,
                                         .queries = 700,
                                         .keys = 2000,
                                         .key_width = 20,
                                         .value_width = 20};
    attention_case_draw(&c, &random, false);
    attention_result_init(&whole, &c);
    attention_result_init(&pieces, &c);
    attention_case_run(contexts[0], &c, ADAMRA_F32, &whole, &timing);
    uint64_t bytes = (timing.input_bytes + timing.output_bytes) / 3;
    ck_assert(stream_run(contexts[1], &c, ADAMRA_F32, bytes, &pieces, &timing));
    ck_assert_int_eq(timing.streamed, 1);
    stream_assert_same(&c, &whole, &pieces);
    attention_result_finish(&whole);
    attention_result_finish(&pieces);
    attention_case_finish(&c);
    close_context(contexts[0]);
    stream_context_close(contexts[1]);
}
END_TEST

Suite *tune_suite(void)
{
    Suite *suite = suite_create("tune");
    TCase *library = tcase_create("library");
    tcase_set_tags(library, "host");
    tcase_set_timeout(library, 0);
    tcase_add_checked_fixture(library, test_folder_setup, test_folder_teardown);
    tcase_add_loop_test(library, the_best_candidate_is_entered, 0, 2);
    tcase_add_loop_test(library, a_wrong_candidate_is_named_and_not_chosen, 0, 2);
    tcase_add_test(library, one_candidate_is_no_choice);
    tcase_add_test(library, what_is_not_reached_is_said);
    tcase_add_test(library, tuning_cancelled_at_once_changes_nothing);
    tcase_add_test(library, wrong_parameters_are_refused);
    tcase_add_test(library, contexts_use_what_is_kept);
    tcase_add_loop_test(library, choices_change_results_by_rounding_only, 0, 4);
    tcase_add_test(library, choices_hold_for_streams_too);
    suite_add_tcase(suite, library);
    return suite;
}
