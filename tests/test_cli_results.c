/* The numbers that the program gives: golden results of `attend` and `run`, an eps of the caller's,
 * the accuracy of `classify` that README.md names. */
#include "attention_cases.h"
#include "program.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *read_floats(const char *path, const char *name, uint64_t *count)
{
    struct st_file file;
    ck_assert_msg(st_open(test_logger(), path, &file) == STATUS_OK, "%s", test_logger()->error);
    const struct st_tensor *tensor = st_find(&file, name);
    ck_assert_msg(tensor != NULL, "%s: no %s", path, name);
    float *values = malloc((tensor->elements + 1) * sizeof(float));
    ck_assert_ptr_nonnull(values);
    *count = tensor->elements;
    ck_assert_int_eq(st_read_floats(test_logger(), &file, tensor, 0, *count, values), STATUS_OK);
    st_finish(&file);
    return values;
}

/* norm(a - b) / norm(b) of a tensor in two files */
static double relative_error(const char *path, const char *expected_path, const char *name)
{
    uint64_t count, expected_count;
    float *values = read_floats(path, name, &count);
    float *expected = read_floats(expected_path, name, &expected_count);
    double difference = 0, norm = 0;
    ck_assert_uint_eq(count, expected_count);
    for (uint64_t i = 0; i < count; i++) {
        difference += pow((double)values[i] - expected[i], 2);
        norm += pow(expected[i], 2);
    }
    free(values);
    free(expected);
    return sqrt(difference / norm);
}

START_TEST(attends_as_the_golden_files_say)
{
    static const struct {
        const char *name, *flags;
        double tolerance;
    } cases[] = {
        {"paper_default", "--rates 1,2,4,8", 2e-5},
        {"padded_batch", "--rates 1,2,4 --routing top1", 2e-5},
        {"cross_attention", "--rates 1,2,12", 2e-5},
        {"shared_projection", "--rates 1,4,10", 2e-5},
        {"given_logits", "--rates 1,2,6 --routing soft", 2e-5},
        {"soft_routing", "--rates 9 --rates 1,2,4 --routing soft", 2e-5},
        {"no_routing", "--rates 1,2,4 --routing none", 2e-5},
        {"max_pooling", "--rates 1,4,9 --pooling max", 2e-5},
        {"relu_features", "--rates 1,2 --feature-map relu --eps 1e-6", 2e-5},
        {"soft_routing", "--rates 1,2,4 --routing soft --dtype f16", 5e-3},
        {"no_routing", "--rates 1,2,4 --routing none --dtype f16", 5e-3},
    };
    char golden[1024];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(golden, sizeof(golden), "%s/golden/%s.safetensors", TESTS_DIR, cases[i].name);
        const struct outcome *outcome =
            program_run("attend '%s' -o y.safetensors --quiet %s", golden, cases[i].flags);
        ck_assert_msg(outcome->code == 0, "%s: %s", cases[i].name, outcome->last_error);
        ck_assert_str_eq(outcome->errors, "");
        double error = relative_error(program_path("y.safetensors"), golden, "y");
        ck_assert_msg(error <= cases[i].tolerance, "%s %s: relative error %g", cases[i].name,
                      cases[i].flags, error);
    }
}
END_TEST

/* No golden file has another eps than the default: what is expected is the oracle's. */
START_TEST(attends_with_the_eps_that_is_given)
{
    struct attention_case c;
    struct attention_result result = {0};
    uint64_t count;
    attention_case_load(&c, "relu_features");
    c.params.eps = 0.5f;
    memset(c.y, 0, attention_case_outputs(&c) * sizeof(*c.y));
    attention_oracle(&c);
    const struct outcome *outcome =
        program_run("attend '%s/golden/relu_features.safetensors' -o y.safetensors --rates 1,2 "
                    "--feature-map relu --eps 0.5",
                    TESTS_DIR);
    ck_assert_msg(outcome->code == 0, "%s", outcome->last_error);
    result.y = read_floats(program_path("y.safetensors"), "y", &count);
    ck_assert_uint_eq(count, attention_case_outputs(&c));
    attention_case_check(&c, ADAMRA_F32, &result);
    free(result.y);
    attention_case_finish(&c);
}
END_TEST

START_TEST(says_which_head_was_chosen)
{
    char golden[1024];
    snprintf(golden, sizeof(golden), "%s/golden/one_head.safetensors", TESTS_DIR);
    const struct outcome *outcome =
        program_run("attend '%s' -o y.safetensors --rates 1 --verbose", golden);
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_ptr_nonnull(strstr(outcome->errors, "device: "));
    ck_assert_ptr_nonnull(strstr(outcome->errors, "GFLOP/s"));
    ck_assert_str_eq(outcome->output, "");
    struct st_file file;
    ck_assert_int_eq(st_open(test_logger(), program_path("y.safetensors"), &file), STATUS_OK);
    ck_assert_uint_eq(file.count, 3);
    const struct st_tensor *head = st_find(&file, "router.head");
    const struct st_tensor *prob = st_find(&file, "router.prob");
    ck_assert(head && head->type == ST_I32 && head->dims == 3 && head->shape[2] == 65);
    ck_assert(prob && prob->type == ST_F32 && prob->dims == 3 && prob->shape[1] == 2);
    for (uint64_t i = 0; i < head->elements; i++) {
        int64_t value;
        float probability;
        ck_assert_int_eq(st_read_ints(test_logger(), &file, head, i, 1, &value), STATUS_OK);
        ck_assert_int_eq(st_read_floats(test_logger(), &file, prob, i, 1, &probability), STATUS_OK);
        ck_assert(value == 0 && probability == 1.0f);
    }
    st_finish(&file);
}
END_TEST

START_TEST(runs_a_model_on_tokens)
{
    char expected[1024];
    snprintf(expected, sizeof(expected), "%s/golden/encoder_soft/cases.safetensors", TESTS_DIR);
    const struct outcome *outcome = program_run(
        "run '%s/golden/encoder_soft' --tokens '%s' -o out.safetensors", TESTS_DIR, expected);
    ck_assert_msg(outcome->code == 0, "%s", outcome->last_error);
    double error = relative_error(program_path("out.safetensors"), expected, "logits");
    ck_assert_msg(error <= 2e-5, "relative error %g", error);
}
END_TEST

START_TEST(labels_do_not_part_columns)
{
    const struct outcome *outcome = program_run_in(
        "cp -r '" SAMPLES_DIR "/models/langid' model; "
        "sed -i 's/\"en\"/\"e\\\\tn\"/' model/config.json;",
        "classify model --text 'the name of the file'");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_msg(!strncmp(outcome->output, "text\te\\tn\t", 10), "%s", outcome->output);
}
END_TEST

/* All of the test set: what README.md says of the model. */
START_TEST(classifies_as_well_as_is_said)
{
    const struct outcome *outcome = program_run(
        "classify --quiet '%s/models/langid' --jsonl '%s/models/langid/test.jsonl' | tail -n 1",
        SAMPLES_DIR, SAMPLES_DIR);
    ck_assert_str_eq(outcome->errors, "");
    ck_assert_str_eq(outcome->output, "accuracy 714/798 0.8947\n");
}
END_TEST

Suite *cli_results_suite(void)
{
    Suite *suite = suite_create("cli_results");
    TCase *files = program_case("files", "program");
    tcase_add_test(files, attends_as_the_golden_files_say);
    tcase_add_test(files, attends_with_the_eps_that_is_given);
    tcase_add_test(files, says_which_head_was_chosen);
    tcase_add_test(files, runs_a_model_on_tokens);
    tcase_add_test(files, labels_do_not_part_columns);
    suite_add_tcase(suite, files);
    TCase *accuracy = program_case("accuracy", "long"); /* once, where that is fast */
    tcase_add_test(accuracy, classifies_as_well_as_is_said);
    suite_add_tcase(suite, accuracy);
    return suite;
}
