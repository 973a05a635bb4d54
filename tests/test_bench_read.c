/* Result files are read as they were written; what is wrong in them is named. */
#include "bench_sample.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct sample_spec everything = {
    .encoder = true, .op = true, .profile = true, .devices = 2};

/* bench_read, and what it prints. */
static struct bench_results *read_text(const char *text, int *exit_status, char *printed,
                                       size_t size)
{
    const char *path = sample_file(text);
    FILE *capture = tmpfile();
    ck_assert_ptr_nonnull(capture);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    struct bench_results *results = bench_read(path, exit_status);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(capture);
    printed[fread(printed, 1, size - 1, capture)] = 0;
    fclose(capture);
    unlink(path);
    return results;
}

START_TEST(reading_gives_what_was_written)
{
    char printed[1024];
    int exit_status = -1;
    char *text = sample_written(bench_write_json, sample_results(&everything));
    struct bench_results *results = read_text(text, &exit_status, printed, sizeof(printed));
    ck_assert_msg(results != NULL, "%s", printed);
    ck_assert_int_eq(exit_status, 0);
    ck_assert_str_eq(printed, "");
    char *again = sample_written(bench_write_json, results);
    ck_assert_str_eq(again, text);
    ck_assert_uint_eq(results->rows[0].n, 1024);
    ck_assert_uint_eq(results->crossovers[2].row, results->row_count / 2 - 1);
    bench_results_destroy(results);
    bench_results_destroy(NULL);
    free(again);
    free(text);
}
END_TEST

/* The text with the first `old` replaced. */
static char *replaced(const char *text, const char *old, const char *with)
{
    const char *at = strstr(text, old);
    ck_assert_msg(at != NULL, "no %s in %s", old, text);
    size_t size = strlen(text) + strlen(with) + 1;
    char *out = malloc(size);
    ck_assert_ptr_nonnull(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, with, at + strlen(old));
    return out;
}

START_TEST(reading_ignores_what_it_does_not_know)
{
    char printed[1024];
    int exit_status = -1;
    char *text = sample_written(bench_write_json, sample_results(&everything));
    char *more = replaced(text, "\"status\": \"ok\"", "\"status\": \"ok\", \"later\": [{}]");
    char *most = replaced(more, "\"schema\": 1", "\"schema\": 1, \"note\": null");
    struct bench_results *results = read_text(most, &exit_status, printed, sizeof(printed));
    ck_assert_msg(results != NULL, "%s", printed);
    bench_results_destroy(results);
    free(text);
    free(more);
    free(most);
}
END_TEST

/* As escape sequences of a terminal. */
START_TEST(reading_leaves_out_control_characters)
{
    char printed[1024];
    int exit_status = -1;
    char *text = sample_written(bench_write_json, sample_results(&everything));
    char *changed = replaced(text, "\"compiler\": \"", "\"compiler\": \"a\\u001b[31mb\\nc");
    struct bench_results *results = read_text(changed, &exit_status, printed, sizeof(printed));
    ck_assert_msg(results != NULL, "%s", printed);
    ck_assert_msg(!strncmp(results->build_compiler, "a [31mb c", 9), "%s", results->build_compiler);
    bench_results_destroy(results);
    free(text);
    free(changed);
}
END_TEST

START_TEST(reading_names_what_is_wrong)
{
    static const struct {
        const char *old, *with, *message;
    } cases[] = {
        {"\"schema\": 1", "\"schema\": 2", "schema: 2, expected 1"},
        {"\"schema\"", "\"sch\"", "schema: nothing, expected 1"},
        {"\"adamra\": \"0.1.0\"", "\"adamra\": 1", "adamra: 1, expected a string"},
        {"\"compiler\"", "\"c\"", "build.compiler: nothing, expected a string"},
        {"\"command\"", "\"c\"", "command: nothing, expected a list"},
        {"\"devices\"", "\"d\"", "devices: nothing, expected a list"},
        {"\"results\": [", "\"results\": [7, ", "results[0]: 7, expected an object"},
        {"\"n\": 1024", "\"n\": -1", "results[0].n: -1, expected a whole number"},
        {"\"pass\": \"core\", \"dtype\": \"f32\", \"rates\": \"1,2,4,8\", \"kv\": \"per-head\", "
         "\"op\": null, \"n\"",
         "\"pass\": \"cor\", \"dtype\": \"f32\", \"rates\": \"\", \"kv\": "
         "\"\", \"n\"",
         "results[0].pass: \"cor\", expected \"core\" or \"layer\" or \"encoder\""},
        {"\"status\": \"ok\"", "\"status\": true", "results[0].status: true, expected \"ok\""},
        {"\"ms_median\": ", "\"ms_median\": null, \"x\": ",
         "results[0].ms_median: null, expected a number"},
        {"\"samples_ms\": [", "\"samples_ms\": [\"a\", ", "results[0].samples_ms: \"a\", expected"},
        {"\"index\": 1", "\"index\": 9", "device: 1, expected the index of one of \"devices\""},
        {"\"against\": \"softmax\"", "\"against\": null", "crossovers[0].against: null, expected"},
        {"\"n\": 4000.5", "\"n\": 1e300", "e300, expected a length"},
        {"\"d\": 64", "\"d\": 63", "crossovers[0]: an object, expected the options of one of"},
        {"\"result\": 0", "\"result\": 999", "profile[0].result: 999, expected the place of one"},
        {"{\n\"schema\"", "[\n\"schema\"", "is not valid JSON"},
    };
    char printed[1024];
    char *text = sample_written(bench_write_json, sample_results(&everything));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int exit_status = -1;
        char *wrong = replaced(text, cases[i].old, cases[i].with);
        ck_assert_ptr_null(read_text(wrong, &exit_status, printed, sizeof(printed)));
        ck_assert_int_eq(exit_status, 3);
        ck_assert_msg(strstr(printed, cases[i].message) != NULL, "%s: %s", cases[i].message,
                      printed);
        ck_assert_ptr_eq(strchr(printed, '\n'), printed + strlen(printed) - 1);
        free(wrong);
    }
    free(text);
    int exit_status = -1;
    ck_assert_ptr_null(bench_read("/nowhere/results.json", &exit_status));
    ck_assert_int_eq(exit_status, 1);
}
END_TEST

Suite *bench_read_suite(void)
{
    Suite *suite = suite_create("bench_read");
    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(reading, NULL, sample_finish);
    tcase_add_test(reading, reading_gives_what_was_written);
    tcase_add_test(reading, reading_ignores_what_it_does_not_know);
    tcase_add_test(reading, reading_leaves_out_control_characters);
    tcase_add_test(reading, reading_names_what_is_wrong);
    suite_add_tcase(suite, reading);
    return suite;
}
