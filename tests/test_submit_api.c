/* submit_api: submissions, progress and cancelling as a program meets them. */
#include "api/context.h"
#include "api/model.h"
#include "attention_cases.h"
#include "model_cases.h"
#include "program.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bound that no submission keeps to: every part is one. */
#define NO_TIME 1e-9

struct watch {
    uint32_t calls, cancel_at; /* 0: never */
    double last;
    adamra_attention *begins; /* may be NULL: what each call tries to run */
    const adamra_attention_io *io;
};

static int watch_progress(void *user, double done)
{
    struct watch *watch = user;
    ck_assert_msg(done >= watch->last && done > 0 && done <= 1, "%g after %g", done, watch->last);
    watch->last = done;
    if (watch->begins)
        ck_assert_int_eq(adamra_attention_run(watch->begins, watch->io, NULL),
                         ADAMRA_INVALID_ARGUMENT);
    return ++watch->calls == watch->cancel_at;
}

/* One context for all, so that kernels are compiled once. */
static adamra_context *context;
static struct watch watch;

static adamra_context *open_bounded(double max_submit_ms)
{
    adamra_context_params params = test_context_params();
    adamra_context *opened;
    params.log = NULL;
    params.max_submit_ms = max_submit_ms;
    params.progress = watch_progress;
    params.user = &watch;
    ck_assert_int_eq(adamra_context_create(&params, &opened), ADAMRA_OK);
    return opened;
}

static void open_context(void)
{
    context = open_bounded(NO_TIME);
}

static void close_context(void)
{
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
    adamra_context_destroy(context);
}

/* As if it had been opened so, with nothing measured yet. */
static void set_bound(double max_submit_ms)
{
    context->device->max_submit_ms = max_submit_ms;
    context->device->operations_per_ms = 0;
    watch = (struct watch){0};
}

START_TEST(a_context_has_the_bound)
{
    adamra_context *whole = open_bounded(-1), *usual = open_bounded(0);
    ck_assert(isinf(whole->device->max_submit_ms));
    ck_assert_double_eq(usual->device->max_submit_ms, 100);
    ck_assert_double_eq(context->device->max_submit_ms, NO_TIME);
    ck_assert_double_eq(context->device->operations_per_ms, 0);
    adamra_context_destroy(whole);
    adamra_context_destroy(usual);
    const adamra_context_params none = {.max_submit_ms = (double)NAN};
    ck_assert_int_eq(adamra_context_create(&none, &usual), ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_null(usual);
}
END_TEST

/* ---- attention ---- */

static const char *const kinds[] = {"adamra", "softmax", "linear", "bigbird"};

static void draw_case(struct attention_case *c, const char *kind, struct random *random)
{
    *c = (struct attention_case){.rates = {1, 4}};
    c->params = (adamra_attention_params){.kind = kind,
                                          .batch = 2,
                                          .groups = 1,
                                          .queries = 500,
                                          .keys = 500,
                                          .key_width = 16,
                                          .value_width = 16,
                                          .heads = strcmp(kind, "adamra") ? 1 : 2};
    snprintf(c->name, sizeof(c->name), "%s", kind);
    attention_case_draw(c, random, true);
}

START_TEST(attention_does_not_depend_on_submissions)
{
    struct random random = random_seed(test_seed() + 9);
    struct attention_case c;
    struct attention_result expected, found;
    adamra_timing timing;
    draw_case(&c, kinds[_i], &random);
    attention_result_init(&expected, &c);
    attention_result_init(&found, &c);
    set_bound(INFINITY);
    attention_case_run(context, &c, ADAMRA_F32, &expected, &timing);
    ck_assert_uint_eq(timing.submissions, 1);
    ck_assert_uint_eq(watch.calls, 0);
    set_bound(NO_TIME);
    attention_case_run(context, &c, ADAMRA_F32, &found, &timing);
    ck_assert_uint_gt(timing.submissions, 2);
    ck_assert_uint_eq(watch.calls, timing.submissions - 1);
    ck_assert(!memcmp(expected.y, found.y, attention_case_outputs(&c) * sizeof(float)));
    attention_result_finish(&expected);
    attention_result_finish(&found);
    attention_case_finish(&c);
}
END_TEST

START_TEST(cancelled_attention_runs_again)
{
    struct random random = random_seed(test_seed() + 10);
    struct attention_case c;
    struct attention_result result;
    adamra_attention *attention;
    set_bound(NO_TIME);
    watch.cancel_at = 2;
    draw_case(&c, kinds[_i], &random);
    attention_result_init(&result, &c);
    adamra_attention_io io = attention_case_io(&c, &result);
    ck_assert(!adamra_attention_create(context, &c.params, &attention));
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_CANCELLED);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "cancelled"));
    ck_assert_uint_eq(watch.calls, 2);
    adamra_cancel(context);
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_CANCELLED);
    ck_assert_uint_eq(watch.calls, 2);
    watch = (struct watch){0};
    ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s", adamra_error(context));
    attention_case_check(&c, ADAMRA_F32, &result);
    adamra_attention_destroy(attention);
    attention_result_finish(&result);
    attention_case_finish(&c);
}
END_TEST

/* Not even of the attention that runs. */
START_TEST(a_callback_begins_no_run)
{
    struct random random = random_seed(test_seed() + 11);
    struct attention_case c;
    struct attention_result result;
    adamra_attention *attention;
    set_bound(NO_TIME);
    draw_case(&c, kinds[_i], &random);
    attention_result_init(&result, &c);
    adamra_attention_io io = attention_case_io(&c, &result);
    ck_assert(!adamra_attention_create(context, &c.params, &attention));
    watch.begins = attention;
    watch.io = &io;
    ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s", adamra_error(context));
    ck_assert_uint_gt(watch.calls, 0);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "callback"));
    attention_case_check(&c, ADAMRA_F32, &result);
    watch = (struct watch){0};
    ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s", adamra_error(context));
    adamra_attention_destroy(attention);
    attention_result_finish(&result);
    attention_case_finish(&c);
}
END_TEST

/* ---- models ---- */

/* Progress goes from 0 to 1 once a call, also where the batch runs in slices. */
START_TEST(model_says_how_far_it_is)
{
    struct model_cases cases = model_cases_load(test_path("golden/langid_cases.safetensors"));
    adamra_model *model;
    adamra_timing timing;
    set_bound(_i ? NO_TIME : INFINITY);
    ck_assert(!adamra_model_load(context, SAMPLES_DIR "/models/langid", NULL, &model));
    if (_i == 0)
        model->slice_bytes = 1; /* a row at a time */
    ck_assert_msg(!adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths,
                                    cases.logits, &timing),
                  "%s", adamra_error(context));
    ck_assert_uint_gt(timing.submissions, 1);
    ck_assert_uint_eq(watch.calls, timing.submissions - 1);
    watch = (struct watch){.cancel_at = watch.calls / 2 + 1};
    ck_assert_int_eq(adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths,
                                      cases.logits, NULL),
                     ADAMRA_CANCELLED);
    watch = (struct watch){0};
    ck_assert(!adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths,
                                cases.logits, NULL));
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

/* ---- the program ---- */

#define MODEL "'" SAMPLES_DIR "/models/langid'"

START_TEST(program_bounds_submissions)
{
    static const struct {
        const char *environment, *flags;
        int code;
        const char *error;
    } rows[] = {
        {"", "--max-submit-ms 1", 0, ""},
        {"", "--max-submit-ms none", 0, ""},
        {"", "--max-submit-ms 0", 2, "--max-submit-ms '0'; expected a number > 0, or none"},
        {"", "--max-submit-ms 5x", 2, "--max-submit-ms '5x'"},
        {"", "--max-submit-ms inf", 2, "--max-submit-ms 'inf'"},
        {"ADAMRA_LIMITS=groups=9,timestamps=0", "", 0, ""},
        {"ADAMRA_LIMITS=vulkan-minimum", "", 0, ""},
        {"ADAMRA_LIMITS=android-baseline-2022", "--dtype f16", 0, ""},
        {"ADAMRA_LIMITS=groups=0", "", 2, "limits: groups=0; expected 1 to"},
        {"ADAMRA_LIMITS=iphone", "", 2, "limits: 'iphone'; expected vulkan-minimum"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char arguments[512];
        snprintf(arguments, sizeof(arguments), "classify %s '%s/texts/deutsch.txt' --quiet %s",
                 MODEL, SAMPLES_DIR, rows[i].flags);
        const struct outcome *outcome = program_run_in(rows[i].environment, arguments);
        ck_assert_msg(outcome->code == rows[i].code && strstr(outcome->last_error, rows[i].error),
                      "%s %s: exit status %d, '%s'", rows[i].environment, rows[i].flags,
                      outcome->code, outcome->last_error);
        ck_assert_int_eq(strstr(outcome->output, "\tde\t") != NULL, rows[i].code == 0);
    }
}
END_TEST

Suite *submit_api_suite(void)
{
    Suite *suite = suite_create("submit_api");
    TCase *library = tcase_create("library");
    tcase_set_tags(library, "host");
    tcase_add_unchecked_fixture(library, open_context, close_context);
    tcase_add_test(library, a_context_has_the_bound);
    tcase_add_loop_test(library, attention_does_not_depend_on_submissions, 0, ARRAY_SIZE(kinds));
    tcase_add_loop_test(library, cancelled_attention_runs_again, 0, ARRAY_SIZE(kinds));
    tcase_add_loop_test(library, a_callback_begins_no_run, 0, ARRAY_SIZE(kinds));
    tcase_add_loop_test(library, model_says_how_far_it_is, 0, 2);
    suite_add_tcase(suite, library);
    TCase *program = program_case("program", "program");
    tcase_add_test(program, program_bounds_submissions);
    suite_add_tcase(suite, program);
    return suite;
}
