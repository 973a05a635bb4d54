/* Models on devices with little memory: kept plans give way, batches run in smaller slices. */
#include "api/context.h"
#include "support.h"
#include <stdlib.h>
#include <string.h>

#define LANGID      "../samples/models/langid"
#define MOST_ROWS   8
#define MOST_N      576
#define OTHER       ((uint64_t)4 << 20) /* weights, staging, gaps */
#define LABELS_MAX  32
#define MOST_TOKENS 4096 /* of the model: a row takes 7 MB */

/* Batches of rising size, so that each needs room of its own. */
static const struct {
    uint32_t batch, n;
} shapes[] = {{8, 528}, {8, 536}, {8, 552}, {8, 560}, {MOST_ROWS, MOST_N}, {8, 528}};

/* What shapes[i] gives: logits, and memory of its activations. */
struct outcome {
    float logits[MOST_ROWS * LABELS_MAX];
    adamra_timing timing;
};

static uint32_t errors; /* lines about failures so far */

static void count_errors(void *user, adamra_log_level level, const char *line)
{
    (void)user;
    (void)line;
    errors += level == ADAMRA_LOG_ERROR;
}

/* bytes: of the device's memory at most; 0: no bound */
static adamra_model *open_model(uint64_t bytes, adamra_context **context)
{
    adamra_context_params params = test_context_params();
    adamra_model *model;
    params.max_device_memory = bytes;
    params.log = count_errors;
    errors = 0;
    ck_assert_int_eq(adamra_context_create(&params, context), ADAMRA_OK);
    ck_assert_int_eq(adamra_model_load(*context, test_path(LANGID), NULL, &model), ADAMRA_OK);
    return model;
}

static void close_model(adamra_model *model, adamra_context *context)
{
    adamra_model_destroy(model);
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
    adamra_context_destroy(context);
}

static adamra_status run_shape(adamra_model *model, size_t i, struct outcome *outcome)
{
    static int32_t tokens[MOST_ROWS * MOST_N];
    for (size_t t = 0; t < ARRAY_SIZE(tokens); t++)
        tokens[t] = (int32_t)(t * 31 % 251);
    *outcome = (struct outcome){0};
    return adamra_model_run(model, tokens, shapes[i].batch, shapes[i].n, NULL, outcome->logits,
                            &outcome->timing);
}

static void run_all(uint64_t bytes, struct outcome *outcomes)
{
    adamra_context *context;
    adamra_model *model = open_model(bytes, &context);
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
        ck_assert_msg(run_shape(model, i, &outcomes[i]) == ADAMRA_OK, "%zu of %llu bytes: %s", i,
                      (unsigned long long)bytes, adamra_error(context));
    ck_assert_uint_eq(errors, 0);
    close_model(model, context);
}

/* The largest plan of all finds room, two of any size do not. */
START_TEST(kept_plans_give_way)
{
    struct outcome *free_ones = calloc(2 * ARRAY_SIZE(shapes), sizeof(*free_ones));
    ck_assert_ptr_nonnull(free_ones);
    struct outcome *bounded = free_ones + ARRAY_SIZE(shapes);
    run_all(0, free_ones);
    uint64_t largest = free_ones[4].timing.extra_bytes, least = free_ones[0].timing.extra_bytes;
    ck_assert_uint_gt(2 * least, largest + largest / 4 + OTHER);
    run_all(largest + largest / 4 + OTHER, bounded);
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        ck_assert_mem_eq(bounded[i].logits, free_ones[i].logits, sizeof(bounded[i].logits));
        ck_assert_uint_eq(bounded[i].timing.extra_bytes, free_ones[i].timing.extra_bytes);
    }
    free(free_ones);
}
END_TEST

/* To a quarter of what a batch takes: it runs in slices, without a word, and gives the same. */
START_TEST(slices_fit_the_memory)
{
    struct outcome *free_ones = calloc(2 * ARRAY_SIZE(shapes), sizeof(*free_ones));
    ck_assert_ptr_nonnull(free_ones);
    struct outcome *bounded = free_ones + ARRAY_SIZE(shapes);
    run_all(0, free_ones);
    uint64_t bound = free_ones[0].timing.extra_bytes / 4 + OTHER;
    ck_assert_uint_lt(bound, free_ones[0].timing.extra_bytes);
    run_all(bound, bounded);
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        ck_assert_mem_eq(bounded[i].logits, free_ones[i].logits, sizeof(bounded[i].logits));
        ck_assert_uint_le(bounded[i].timing.extra_bytes, bound);
    }
    free(free_ones);
}
END_TEST

/* Where not even a row fits, that is said, once; what needs less runs. */
START_TEST(a_row_too_long_is_reported)
{
    static const int32_t tokens[2 * MOST_TOKENS];
    adamra_context *context;
    adamra_model *model = open_model(OTHER, &context);
    float logits[2 * LABELS_MAX];
    ck_assert_int_eq(adamra_model_run(model, tokens, 2, MOST_TOKENS, NULL, logits, NULL),
                     ADAMRA_OUT_OF_DEVICE_MEMORY);
    ck_assert_uint_eq(errors, 1);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "out of device memory"));
    ck_assert_int_eq(adamra_model_run(model, tokens, 2, 64, NULL, logits, NULL), ADAMRA_OK);
    ck_assert_uint_eq(errors, 1);
    close_model(model, context);
}
END_TEST

Suite *model_memory_suite(void)
{
    Suite *suite = suite_create("model_memory");
    TCase *all = tcase_create("all");
    tcase_add_test(all, kept_plans_give_way);
    tcase_add_test(all, slices_fit_the_memory);
    tcase_add_test(all, a_row_too_long_is_reported);
    tcase_set_timeout(all, 120);
    suite_add_tcase(suite, all);
    return suite;
}
