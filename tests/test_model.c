/* Models through the public API, on a device. */
#include "api/context.h"
#include "api/model.h"
#include "model_cases.h"
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADAMRA_MODEL "golden/encoder_adamra"
#define LANGID       "../samples/models/langid"

static adamra_context *context;

static void open_context(void)
{
    const adamra_context_params params = test_context_params();
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
}

static void close_context(void)
{
    uint32_t errors = adamra_validation_errors(context);
    adamra_context_destroy(context);
    ck_assert_uint_eq(errors, 0);
}

static adamra_model *load(const char *folder, adamra_type type)
{
    adamra_model *model = NULL;
    adamra_status result =
        adamra_model_load(context, test_path(folder), &(adamra_model_params){.type = type}, &model);
    ck_assert_msg(result == ADAMRA_OK, "%s: %s", folder, adamra_error(context));
    return model;
}

/* Logits of a batch; free them. */
static float *run(adamra_model *model, const int32_t *tokens, uint32_t batch, uint32_t n,
                  const uint32_t *lengths)
{
    adamra_model_info info;
    ck_assert_int_eq(adamra_model_get_info(model, &info), ADAMRA_OK);
    float *logits = calloc((size_t)batch * info.num_labels + 1, sizeof(*logits));
    ck_assert_ptr_nonnull(logits);
    ck_assert_msg(adamra_model_run(model, tokens, batch, n, lengths, logits, NULL) == ADAMRA_OK,
                  "%s", adamra_error(context));
    return logits;
}

static float *run_cases(adamra_model *model, const struct model_cases *cases)
{
    return run(model, cases->tokens, cases->batch, cases->n, cases->lengths);
}

/* ---- what is computed ---- */

static const struct golden {
    const char *folder, *cases; /* cases: NULL where they are in the folder */
    adamra_type type;
    double tolerance;
} goldens[] = {
    {"golden/encoder_adamra", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_soft", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_max", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_wide", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_softmax", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_linear", NULL, ADAMRA_F32, 2e-5},
    {"golden/encoder_bigbird", NULL, ADAMRA_F32, 2e-5},
    {LANGID, "golden/langid_cases.safetensors", ADAMRA_F32, 2e-5},
    {"golden/encoder_adamra", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_soft", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_max", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_wide", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_softmax", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_linear", NULL, ADAMRA_F16, 5e-3},
    {"golden/encoder_bigbird", NULL, ADAMRA_F16, 5e-3},
    {LANGID, "golden/langid_cases.safetensors", ADAMRA_F16, 5e-3},
};

static struct model_cases golden_cases(const struct golden *golden)
{
    return model_cases_load(golden->cases ? test_path(golden->cases)
                                          : model_file(golden->folder, "cases.safetensors"));
}

START_TEST(golden_logits)
{
    const struct golden *golden = &goldens[_i];
    struct model_cases cases = golden_cases(golden);
    adamra_model *model = load(golden->folder, golden->type);
    float *logits = run_cases(model, &cases);
    double error = relative_error(logits, cases.logits, (size_t)cases.batch * cases.num_labels);
    ck_assert_msg(error <= golden->tolerance, "%s, type %d: relative error %g", golden->folder,
                  (int)golden->type, error);
    free(logits);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

START_TEST(runs_are_bit_equal)
{
    const struct golden *golden = &goldens[_i];
    struct model_cases cases = golden_cases(golden);
    adamra_model *model = load(golden->folder, golden->type);
    float *first = run_cases(model, &cases), *second = run_cases(model, &cases);
    ck_assert_mem_eq(first, second, (size_t)cases.batch * cases.num_labels * sizeof(*first));
    free(first);
    free(second);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

/* A row alone and without padding gives the bits that it gives in the batch. A state is summed in
 * stretches that depend on n: rows that end in the first one, or are as long as n, as here, are
 * summed in the same order. bigbird draws from the blocks of all n tokens, by its definition: its
 * rows keep their padding. */
START_TEST(padding_changes_nothing)
{
    const struct golden *golden = &goldens[_i];
    struct model_cases cases = golden_cases(golden);
    adamra_model *model = load(golden->folder, golden->type);
    float *together = run_cases(model, &cases);
    for (uint32_t row = 0; row < cases.batch; row++) {
        uint32_t n = strstr(golden->folder, "bigbird") ? cases.n : cases.lengths[row];
        float *alone = run(model, cases.tokens + (size_t)row * cases.n, 1, n, &cases.lengths[row]);
        ck_assert_mem_eq(alone, together + (size_t)row * cases.num_labels,
                         cases.num_labels * sizeof(*alone));
        free(alone);
    }
    free(together);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

/* Other rows are summed in another order: equal but for rounding. */
START_TEST(padding_changes_only_rounding)
{
    struct model_cases cases = model_cases_load(test_path("golden/langid_cases.safetensors"));
    adamra_model *model = load(LANGID, ADAMRA_F32);
    const uint32_t length = 250;
    int32_t *tokens = NULL;
    for (uint32_t row = 0; row < cases.batch; row++)
        if (cases.lengths[row] > length)
            tokens = cases.tokens + (size_t)row * cases.n;
    ck_assert_ptr_nonnull(tokens);
    float *padded = run(model, tokens, 1, cases.n, &length);
    float *alone = run(model, tokens, 1, length, NULL);
    ck_assert_double_le(relative_error(padded, alone, cases.num_labels), 2e-6);
    free(padded);
    free(alone);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

START_TEST(padding_tokens_are_not_read)
{
    struct model_cases cases = model_cases_load(test_path(ADAMRA_MODEL "/cases.safetensors"));
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    float *expected = run_cases(model, &cases);
    for (uint32_t row = 0; row < cases.batch; row++)
        for (uint32_t i = cases.lengths[row]; i < cases.n; i++)
            cases.tokens[(size_t)row * cases.n + i] = i % 2 ? INT32_MIN : INT32_MAX;
    float *logits = run_cases(model, &cases);
    ck_assert_mem_eq(logits, expected, (size_t)cases.batch * cases.num_labels * sizeof(*logits));
    free(expected);
    free(logits);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

START_TEST(slices_give_the_same)
{
    struct model_cases cases = model_cases_load(test_path(ADAMRA_MODEL "/cases.safetensors"));
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    adamra_timing whole, sliced = {0};
    size_t bytes = (size_t)cases.batch * cases.num_labels * sizeof(float);
    float *expected = run_cases(model, &cases), *logits = run_cases(model, &cases);
    ck_assert_int_eq(adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths,
                                      expected, &whole),
                     ADAMRA_OK);
    for (uint64_t slice = whole.extra_bytes; slice; slice /= 2) {
        adamra_model_slice(model, slice);
        memset(logits, 0, bytes);
        ck_assert_int_eq(adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths,
                                          logits, &sliced),
                         ADAMRA_OK);
        ck_assert_mem_eq(logits, expected, bytes);
    }
    ck_assert_uint_lt(sliced.extra_bytes, whole.extra_bytes);
    ck_assert_double_eq_tol(sliced.operations, whole.operations, 1e-6 * whole.operations);
    free(expected);
    free(logits);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

/* A row without tokens: the classifier of a zero mean, whatever n is. */
START_TEST(empty_rows)
{
    static const int32_t tokens[] = {1, 2, 3, 4, 5, 6};
    static const uint32_t lengths[] = {0, 3};
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    float *none = run(model, NULL, 1, 0, NULL);
    float *padded = run(model, tokens, 2, 3, lengths);
    ck_assert_mem_eq(none, padded, 5 * sizeof(*none));
    float *alone = run(model, tokens + 3, 1, 3, NULL);
    ck_assert_mem_eq(alone, padded + 5, 5 * sizeof(*alone));
    ck_assert_int_eq(adamra_model_run(model, NULL, 0, 3, NULL, NULL, NULL), ADAMRA_OK);
    free(none);
    free(padded);
    free(alone);
    adamra_model_destroy(model);
}
END_TEST

/* ---- plans, timing ---- */

START_TEST(plans_are_dropped)
{
    static const int32_t tokens[64] = {7, 3, 1};
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    float *expected[8], *again;
    uint64_t used = 0;
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 8; i++) {
            again = run(model, tokens, 1, 40 + 3 * i, NULL);
            if (round == 0)
                expected[i] = again;
            else {
                ck_assert_mem_eq(again, expected[i], 5 * sizeof(*again));
                free(again);
            }
            if (i == 7 && round == 0)
                used = gpu_memory_used(context->device);
            else if (i == 7)
                ck_assert_uint_eq(gpu_memory_used(context->device), used);
        }
    for (uint32_t i = 0; i < 8; i++)
        free(expected[i]);
    adamra_model_destroy(model);
    ck_assert_uint_lt(gpu_memory_used(context->device), used);
}
END_TEST

START_TEST(timing_is_filled)
{
    struct model_cases cases = model_cases_load(test_path(ADAMRA_MODEL "/cases.safetensors"));
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    adamra_timing timing = {0};
    float logits[4 * 5];
    ck_assert_int_eq(
        adamra_model_run(model, cases.tokens, cases.batch, cases.n, cases.lengths, logits, &timing),
        ADAMRA_OK);
    ck_assert(timing.device_ms == -1 || timing.device_ms > 0);
    ck_assert_double_gt(timing.host_ms, 0);
    ck_assert_double_gt(timing.operations, 1e6);
    ck_assert_double_gt(timing.bytes, 0);
    ck_assert_uint_gt(timing.input_bytes, cases.batch * cases.n * sizeof(uint32_t));
    ck_assert_uint_ge(timing.output_bytes, sizeof(logits));
    ck_assert_uint_gt(timing.extra_bytes, 0);
    adamra_model_destroy(model);
    model_cases_finish(&cases);
}
END_TEST

START_TEST(info_is_the_config)
{
    adamra_model *model = load(LANGID, ADAMRA_F16);
    adamra_model_info info;
    ck_assert_int_eq(adamra_model_get_info(model, &info), ADAMRA_OK);
    ck_assert_int_eq(info.bytes_tokenizer, 1);
    ck_assert_uint_eq(info.vocab_size, 257);
    ck_assert_uint_eq(info.pad_token_id, 256);
    ck_assert_uint_eq(info.max_tokens, 4096);
    ck_assert_uint_eq(info.hidden_size, 96);
    ck_assert_uint_eq(info.layers, 2);
    ck_assert_uint_eq(info.num_labels, 18);
    ck_assert_str_eq(info.attention, "adamra");
    ck_assert_str_eq(info.labels[0], "cs");
    ck_assert_str_eq(info.labels[17], "uk");
    ck_assert_uint_gt(info.weight_bytes, 2 * 600000);
    adamra_model_destroy(model);
}
END_TEST

/* ---- refusals ---- */

static const struct bad_run {
    int32_t token;      /* the last of row 1 */
    uint32_t n, length; /* length of row 1 */
    const char *message;
} bad_runs[] = {
    {40, 3, 3, "tokens: row 1, position 2 is 40: expected 0 <= token < 40"},
    {-1, 3, 3, "tokens: row 1, position 2 is -1: expected 0 <= token < 40"},
    {0, 3, 4, "lengths: row 1 has 4: expected at most n = 3"},
    {0, 129, 1, "n is 129: expected at most 128"},
};

START_TEST(run_refuses)
{
    const struct bad_run *bad = &bad_runs[_i];
    int32_t tokens[2 * 129] = {0};
    uint32_t lengths[] = {1, bad->length};
    float logits[2 * 5] = {42};
    tokens[2 * bad->n - 1] = bad->token;
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    ck_assert_int_eq(adamra_model_run(model, tokens, 2, bad->n, lengths, logits, NULL),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_msg(strstr(adamra_error(context), bad->message) != NULL, "expected %s, got %s",
                  bad->message, adamra_error(context));
    ck_assert(logits[0] == 42);
    adamra_model_destroy(model);
}
END_TEST

START_TEST(pointers_are_checked)
{
    adamra_model *model = load(ADAMRA_MODEL, ADAMRA_F32);
    adamra_model_info info;
    int32_t token = 0;
    float logits[5];
    ck_assert_int_eq(adamra_model_run(NULL, &token, 1, 1, NULL, logits, NULL),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_model_run(model, NULL, 1, 1, NULL, logits, NULL),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_model_run(model, &token, 1, 1, NULL, NULL, NULL),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_model_get_info(NULL, &info), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_model_get_info(model, NULL), ADAMRA_INVALID_ARGUMENT);
    adamra_model_destroy(model);
    adamra_model_destroy(NULL);
    ck_assert_int_eq(adamra_model_load(NULL, "x", NULL, &model), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_model_load(context, NULL, NULL, &model), ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_null(model);
    ck_assert_int_eq(adamra_model_load(context, "x", NULL, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_str_eq(adamra_error(context), "out: expected a pointer, got NULL");
    ck_assert_int_eq(adamra_model_load(context, "x", &(adamra_model_params){.type = 7}, &model),
                     ADAMRA_INVALID_ARGUMENT);
}
END_TEST

START_TEST(folders_are_refused)
{
    const char *folder = temporary_folder();
    uint64_t used = gpu_memory_used(context->device);
    adamra_model *model = NULL;
    ck_assert_int_eq(adamra_model_load(context, "", NULL, &model), ADAMRA_INVALID_ARGUMENT);
    ck_assert_str_eq(adamra_error(context), "folder: expected a path, got an empty one");
    ck_assert_int_eq(adamra_model_load(context, folder, NULL, &model), ADAMRA_IO);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "config.json"));
    copy_file(test_path(ADAMRA_MODEL "/config.json"), folder, "config.json");
    ck_assert_int_eq(adamra_model_load(context, folder, NULL, &model), ADAMRA_IO);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "model.safetensors"));
    write_changed_model(test_path(ADAMRA_MODEL "/model.safetensors"), folder, CHANGE_DROP,
                        "norm.weight", 0);
    ck_assert_int_eq(adamra_model_load(context, folder, NULL, &model), ADAMRA_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "norm.weight"));
    ck_assert_ptr_null(model);
    ck_assert_uint_eq(gpu_memory_used(context->device), used);
    remove_model(folder);
}
END_TEST

Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *logits = tcase_create("logits"), *use = tcase_create("use");
    tcase_add_unchecked_fixture(logits, open_context, close_context);
    tcase_add_loop_test(logits, golden_logits, 0, ARRAY_SIZE(goldens));
    tcase_add_loop_test(logits, runs_are_bit_equal, 0, ARRAY_SIZE(goldens));
    tcase_add_loop_test(logits, padding_changes_nothing, 0, ARRAY_SIZE(goldens));
    tcase_add_test(logits, padding_changes_only_rounding);
    tcase_add_test(logits, padding_tokens_are_not_read);
    tcase_add_test(logits, slices_give_the_same);
    tcase_add_test(logits, empty_rows);
    tcase_set_timeout(logits, 120);
    tcase_add_unchecked_fixture(use, open_context, close_context);
    tcase_add_test(use, plans_are_dropped);
    tcase_add_test(use, timing_is_filled);
    tcase_add_test(use, info_is_the_config);
    tcase_add_loop_test(use, run_refuses, 0, ARRAY_SIZE(bad_runs));
    tcase_add_test(use, pointers_are_checked);
    tcase_add_test(use, folders_are_refused);
    suite_add_tcase(suite, logits);
    suite_add_tcase(suite, use);
    return suite;
}
