/* bigbird: what the hash draws, against values of the PyTorch definition; shapes at the edges; and
 * what the kind counts. */
#include "attention_cases.h"
#include "attention_form.h"
#include "attn/bigbird_runs.h"
#include "suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which keys ---- */

static const uint32_t hashes[][2] = {
    {0, 0x07bb2fe2},  {1, 0xa8beea3c},     {2, 0x7a7ecc88},          {7, 0x7e67121c},
    {64, 0x85e59170}, {12345, 0xf45ead0e}, {0x80000000, 0x21c72646}, {UINT32_MAX, 0xe62a4902},
};

START_TEST(hash_is_pcg)
{
    for (size_t i = 0; i < ARRAY_SIZE(hashes); i++)
        ck_assert_uint_eq(bigbird_hash(hashes[i][0]), hashes[i][1]);
}
END_TEST

/* Key blocks that query block `at` of `blocks` sees: bigbird_blocks of the definition. */
static const struct choice {
    uint32_t at, blocks;
    struct bigbird_pattern pattern; /* block 1 */
    uint32_t count, seen[16];
} choices[] = {
    {0, 16, {1, 2, 3, 3, 0}, 16, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    {2, 16, {1, 2, 3, 3, 0}, 7, {0, 1, 2, 3, 4, 6, 15}},
    {9, 16, {1, 2, 3, 3, 0}, 8, {0, 1, 2, 8, 9, 10, 14, 15}},
    {15, 16, {1, 2, 3, 3, 0}, 7, {0, 1, 3, 7, 12, 14, 15}},
    {1000, 1024, {1, 2, 3, 3, 0}, 8, {0, 1, 52, 133, 718, 999, 1000, 1001}},
    {5, 12, {1, 1, 3, 2, 7}, 6, {0, 4, 5, 6, 10, 11}},
    {11, 12, {1, 1, 3, 2, 7}, 5, {0, 8, 9, 10, 11}},
    {4, 40, {1, 0, 1, 0, 0}, 1, {4}},
    {4, 40, {1, 0, 1, 5, UINT32_MAX}, 6, {4, 6, 13, 22, 31, 36}},
    {20, 64, {1, 0, 7, 1, 123456789}, 8, {8, 17, 18, 19, 20, 21, 22, 23}},
    {3, 6, {1, 2, 3, 3, 0}, 6, {0, 1, 2, 3, 4, 5}},
    {4, 7, {1, 1, 3, 3, 1}, 7, {0, 1, 2, 3, 4, 5, 6}},
    {0, 1, {1, 2, 3, 3, 0}, 1, {0}},
    {5, 8, {1, 9, 1, 0, 0}, 8, {0, 1, 2, 3, 4, 5, 6, 7}},
    {9, 16, {1, 0, 33, 0, 0}, 16, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    {4, 9, {1, 0, UINT32_MAX, UINT32_MAX, 0}, 9, {0, 1, 2, 3, 4, 5, 6, 7, 8}},
};

/* The runs of query block `at`, key by key: *count of them. */
static void list_keys(const struct bigbird_runs *runs, uint32_t at, uint32_t *keys, uint32_t most,
                      uint32_t *count)
{
    *count = 0;
    for (uint32_t word = runs->words[at]; word < runs->words[at + 1]; word += 2) {
        ck_assert_uint_lt(runs->words[word], runs->words[word + 1]);
        for (uint32_t key = runs->words[word]; key < runs->words[word + 1]; key++) {
            ck_assert_uint_lt(*count, most);
            keys[(*count)++] = key;
        }
    }
}

START_TEST(blocks_are_those_of_the_definition)
{
    const struct choice *choice = &choices[_i];
    struct bigbird_runs runs;
    uint32_t keys[16], count;
    ck_assert_int_eq(bigbird_runs_init(&choice->pattern, choice->blocks, &runs), STATUS_OK);
    list_keys(&runs, choice->at, keys, ARRAY_SIZE(keys), &count);
    ck_assert_uint_eq(count, choice->count);
    ck_assert_mem_eq(keys, choice->seen, count * sizeof(*keys));
    ck_assert_uint_eq(runs.words[choice->blocks], runs.count);
    bigbird_runs_finish(&runs);
}
END_TEST

/* Blocks 0, 4..6, 10, 11 of 12 (the definition's row above), of 8 keys each, the last of 5. */
START_TEST(runs_are_of_keys)
{
    static const uint32_t expected[] = {0, 8, 32, 56, 80, 93};
    const struct bigbird_pattern pattern = {8, 1, 3, 2, 7};
    struct bigbird_runs runs;
    ck_assert_int_eq(bigbird_runs_init(&pattern, 93, &runs), STATUS_OK);
    ck_assert_uint_eq(runs.words[6] - runs.words[5], ARRAY_SIZE(expected));
    ck_assert_mem_eq(runs.words + runs.words[5], expected, sizeof(expected));
    ck_assert_uint_eq(runs.words[0], 13);
    ck_assert_uint_eq(runs.words[1], 15); /* a global block sees one run: all */
    ck_assert_uint_eq(runs.words[14], 93);
    bigbird_runs_finish(&runs);
}
END_TEST

/* ---- what is computed ---- */

static const struct shape {
    const char *name;
    uint32_t batch, groups, n, dk, dv;
    adamra_bigbird bigbird;
} shapes[] = {
    {"one token", 1, 1, 1, 3, 2, {64, 2, 3, 3, 0}},
    {"no tokens", 2, 1, 0, 3, 2, {64, 2, 3, 3, 0}},
    {"fewer blocks than chosen", 2, 2, 250, 8, 5, {64, 2, 3, 3, 0}},
    {"a short last block", 3, 1, 777, 5, 9, {64, 2, 3, 3, 0}},
    {"blocks of 100", 2, 1, 930, 4, 4, {100, 1, 3, 1, 5}},
    {"blocks of 8", 2, 2, 203, 4, 40, {8, 1, 3, 2, 7}},
    {"blocks of 1", 1, 1, 90, 4, 4, {1, 0, 1, 4, 9}},
    {"own block only", 2, 1, 300, 6, 6, {33, 0, 1, 0, 0}},
    {"a block over n", 2, 1, 50, 6, 6, {UINT32_MAX, 0, 1, 0, 0}},
    {"wide rows", 1, 1, 150, 68, 132, {16, 1, 5, 1, 1}},
    /* Keys come in parts of 32 where rows are that wide (attn/softmax.c). */
    {"global rows in parts", 2, 1, 80, 16384, 4, {4, 1, 3, 1, 1}},
    {"all rows in parts", 1, 1, 70, 16384, 4, {19, 1, 3, 1, 1}},
    {"single keys in parts", 1, 1, 40, 16384, 4, {1, 1, 1, 5, 3}},
};

static void draw_shape(struct attention_case *c, const struct shape *shape, struct random *random)
{
    *c = (struct attention_case){.rates = {1}, .bigbird = shape->bigbird};
    snprintf(c->name, sizeof(c->name), "%s", shape->name);
    c->params = (adamra_attention_params){.kind = "bigbird",
                                          .batch = shape->batch,
                                          .groups = shape->groups,
                                          .queries = shape->n,
                                          .keys = shape->n,
                                          .key_width = shape->dk,
                                          .value_width = shape->dv,
                                          .heads = 1,
                                          .bigbird = &c->bigbird};
    attention_case_draw(c, random, shape->batch > 1 && shape->n > 1);
}

START_TEST(shapes_on_reference_loops)
{
    struct random random = random_seed(test_seed() + 20);
    struct attention_case c;
    struct attention_result result;
    draw_shape(&c, &shapes[_i], &random);
    attention_result_init(&result, &c);
    attention_case_run_reference(&c, ADAMRA_F32, &result);
    attention_case_check(&c, ADAMRA_F32, &result);
    attention_result_finish(&result);
    attention_case_finish(&c);
}
END_TEST

START_TEST(shapes_on_device)
{
    struct random random = random_seed(test_seed() + 20);
    struct attention_case c;
    draw_shape(&c, &shapes[_i], &random);
    for (adamra_type type = ADAMRA_F32; type <= ADAMRA_F16; type++) {
        struct attention_result result;
        attention_result_init(&result, &c);
        attention_case_run(attention_context(), &c, type, &result, NULL);
        attention_case_check(&c, type, &result);
        attention_result_finish(&result);
    }
    attention_case_finish(&c);
}
END_TEST

/* NULL stands for the specification's numbers: the oracle has them too. */
START_TEST(null_means_defaults)
{
    struct random random = random_seed(test_seed() + 21);
    struct shape shape = {"defaults", 1, 1, 700, 4, 4, {64, 2, 3, 3, 0}};
    struct attention_case c;
    struct attention_result given, defaults;
    draw_shape(&c, &shape, &random);
    attention_result_init(&given, &c);
    attention_result_init(&defaults, &c);
    attention_case_run_reference(&c, ADAMRA_F32, &given);
    c.params.bigbird = NULL;
    attention_case_run_reference(&c, ADAMRA_F32, &defaults);
    ck_assert_mem_eq(given.y, defaults.y, attention_case_outputs(&c) * sizeof(float));
    attention_case_check(&c, ADAMRA_F32, &defaults);
    attention_result_finish(&given);
    attention_result_finish(&defaults);
    attention_case_finish(&c);
}
END_TEST

/* ---- what is counted ---- */

/* Blocks of 4, 4 and 2 tokens; the first is global, the others see it and themselves. */
START_TEST(allowed_pairs_are_counted)
{
    struct attention_form form;
    const adamra_bigbird bigbird = {4, 1, 1, 0, 0};
    const adamra_attention_params params = {.kind = "bigbird",
                                            .batch = 2,
                                            .groups = 3,
                                            .queries = 10,
                                            .keys = 10,
                                            .key_width = 5,
                                            .value_width = 7,
                                            .bigbird = &bigbird};
    ck_assert_int_eq(attention_form_init(test_logger(), &params, &form), STATUS_OK);
    double pairs = 4 * 10 + 4 * (4 + 4) + 2 * (4 + 2);
    ck_assert_double_eq(form.operations, 2 * 3 * 2 * (5 + 7) * pairs);
    ck_assert_double_eq(form.bytes, 2 * 3 * 4 * 10 * (5 + 5 + 7 + 7));
}
END_TEST

Suite *bigbird_suite(void)
{
    Suite *suite = suite_create("bigbird");
    TCase *keys = tcase_create("keys"), *values = tcase_create("values");
    tcase_add_test(keys, hash_is_pcg);
    tcase_add_loop_test(keys, blocks_are_those_of_the_definition, 0, ARRAY_SIZE(choices));
    tcase_add_test(keys, runs_are_of_keys);
    tcase_add_test(keys, allowed_pairs_are_counted);
    tcase_add_loop_test(values, shapes_on_reference_loops, 0, ARRAY_SIZE(shapes));
    tcase_add_loop_test(values, shapes_on_device, 0, ARRAY_SIZE(shapes));
    tcase_add_test(values, null_means_defaults);
    tcase_set_timeout(values, 120);
    suite_add_tcase(suite, keys);
    suite_add_tcase(suite, values);
    return suite;
}
