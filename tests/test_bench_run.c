/* bench_run: `adamra bench` as a user runs it. */
#include "program.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

#define SHORT "-r 2 --min-seconds 0 --max-seconds 60 --quiet"
/* Copies that the device's rate is taken from are small then, and take no seconds. */
#define SMALL "ADAMRA_LIMITS=allocation_bytes=16777216"

/* ---- wrong usage ---- */

static const struct {
    const char *arguments, *error;
} wrong[] = {
    {"--n 0", "--n '0'; expected"},
    {"--n 8-4", "--n '8-4'; expected"},
    {"--n", "--n lacks its value"},
    {"--d 1,", "--d '1,'; expected"},
    {"--attention none", "--attention 'none'; expected"},
    {"--pass head", "--pass 'head'; expected core, layer or encoder"},
    {"--op linear:2x3", "--op 'linear:2x3'; expected"},
    {"--op linear:2x3x4 --n 8", "--n has no meaning with --op"},
    {"--op linear:2x3x4 --pass core", "--pass has no meaning with --op"},
    {"--pass encoder --attention softmax", "--attention has no meaning with --pass encoder"},
    {"--pass layer --kv shared", "--kv has no meaning with --pass layer"},
    {"--d-model 64", "--d-model has no meaning with --pass core"},
    {"--model .", "--model has no meaning with --pass core"},
    {"--kv both", "--kv 'both'; expected per-head or shared"},
    {"--rates 1,0", "--rates '1,0'; expected"},
    {"--dtype f64", "--dtype 'f64'; expected"},
    {"-r 0", "--repetitions '0'; expected"},
    {"--min-seconds soon", "--min-seconds 'soon'; expected"},
    {"--min-seconds -1", "--min-seconds '-1'; expected"},
    {"--max-seconds 0", "--max-seconds '0'; expected"},
    {"--max-seconds 0x1", "--max-seconds '0x1'; expected"},
    {"--max-seconds ' 1'", "--max-seconds ' 1'; expected"},
    {"--min-seconds 2 --max-seconds 1", "--min-seconds 2; expected at most --max-seconds, 1"},
    {"-o xml", "--output 'xml'; expected md, csv, json or jsonl"},
    {"--preset slow", "--preset 'slow'; expected"},
    {"--preset none", "there are none"},
    {"--preset none --compare a.json --n 64", "--n has no meaning with --preset none"},
    {"--preset none --compare a.json --profile", "--profile has no meaning with --preset none"},
    {"--preset none --compare a.json -r 3", "--repetitions has no meaning with --preset none"},
    {"--profile -o csv", "--profile: expected --output md or json, or --html"},
    {"--html page --svg page", "--html and --svg: expected two files"},
    {"--device ,,", "names no device"},
    {"--causal", "unsupported flag '--causal'"},
    {"results.json", "unexpected word 'results.json'"},
};

START_TEST(wrong_usage_exits_2)
{
    program_expect(program_run("bench %s", wrong[_i].arguments), 2, wrong[_i].error);
}
END_TEST

START_TEST(other_failures_have_their_codes)
{
    program_expect(program_run("bench --device nothing-is-called-so"), 4, "nothing-is-called-so");
    program_expect(program_run("bench --compare missing.json"), 1, "missing.json");
    program_expect(program_run("bench --pass encoder --model missing " SHORT), 1, "missing");
    program_write("text.json", "not json");
    program_expect(program_run("bench --preset none --compare text.json"), 3, "text.json");
}
END_TEST

/* What cannot be written is said at once, not after the measuring. */
START_TEST(pages_are_tried_first)
{
    static const char *const flags[] = {"--html none/page.html", "--svg none/page.svg", "--svg ."};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        const struct outcome *outcome =
            program_run("bench --max-seconds 1000 --min-seconds 1000 %s", flags[i]);
        program_expect(outcome, 1, strchr(flags[i], ' ') + 1);
        ck_assert_ptr_null(strstr(outcome->errors, "device"));
    }
}
END_TEST

START_TEST(a_full_disk_is_said_once)
{
    const struct outcome *outcome = program_run_in(SMALL, "bench --n 64 " SHORT " >/dev/full");
    program_expect(outcome, 1, "cannot write to standard output");
    const char *said = strstr(outcome->errors, "cannot write");
    ck_assert_ptr_null(strstr(said + 1, "cannot write"));
}
END_TEST

START_TEST(help_names_flags_and_presets)
{
    const struct outcome *outcome = program_run("bench --help");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_ptr_nonnull(strstr(outcome->output, "--max-seconds S"));
    ck_assert_ptr_nonnull(strstr(outcome->output, "mobile"));
}
END_TEST

/* ---- runs ---- */

/* The results of a run, which the caller releases. */
static json_t *run_json(const char *arguments)
{
    json_error_t error;
    char command[2048];
    snprintf(command, sizeof(command), "bench " SHORT " %s -o json > result.json", arguments);
    const struct outcome *outcome = program_run_in(SMALL, command);
    ck_assert_msg(outcome->code == 0, "%s: %s", arguments, outcome->errors);
    ck_assert_str_eq(outcome->errors, "");
    json_t *root = json_load_file(program_path("result.json"), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    return root;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "%s is no number", key);
    return json_number_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    ck_assert_msg(value != NULL, "%s is no text", key);
    return value;
}

static void expect_rates(const json_t *root)
{
    const json_t *device = json_array_get(json_object_get(root, "devices"), 0);
    ck_assert_double_gt(number(device, "copy_gbytes_per_s"), 0);
    ck_assert_double_gt(number(device, "f32_gflops"), 0);
}

/* By its definition: what it comes to depends on how busy the machine is. */
static void expect_limit_share(const json_t *device, const json_t *row)
{
    const json_t *f16_rate = json_object_get(device, "f16_gflops");
    double rate = number(device, "f32_gflops");
    if (strcmp(text(row, "dtype"), "f16") == 0 && json_is_number(f16_rate))
        rate = fmax(rate, json_number_value(f16_rate));
    double least_ms = fmax(number(row, "bytes") / number(device, "copy_gbytes_per_s"),
                           number(row, "operations") / rate) *
                      1e-6;
    double share = number(row, "limit_share");
    ck_assert_double_gt(share, 0);
    ck_assert_double_eq_tol(share, least_ms / number(row, "ms_median"), 1e-4 * share);
}

static void expect_measured(const json_t *device, const json_t *row)
{
    double minimum = number(row, "ms_min"), median = number(row, "ms_median");
    double p95 = number(row, "ms_p95"), maximum = number(row, "ms_max");
    ck_assert_msg(strcmp(text(row, "status"), "ok") == 0, "%s", text(row, "reason"));
    ck_assert_double_gt(minimum, 0);
    ck_assert(minimum <= median && median <= p95 && p95 <= maximum);
    ck_assert_uint_ge(json_array_size(json_object_get(row, "samples_ms")), 2);
    ck_assert_double_gt(number(row, "host_ms_median"), 0);
    ck_assert_double_gt(number(row, "first_ms"), 0);
    ck_assert_double_gt(number(row, "first_warm_ms"), 0);
    expect_limit_share(device, row);
    ck_assert_double_eq_tol(number(row, "gflops"), number(row, "operations") / median * 1e-6,
                            1e-6 * number(row, "gflops"));
    ck_assert_double_gt(number(row, "input_bytes"), 0);
    ck_assert_double_gt(number(row, "output_bytes"), 0);
}

static const struct {
    const char *arguments;
    size_t rows;
} passes[] = {
    {"--attention adamra,softmax,linear,bigbird --n 40,200 --d 12 --batch 2 --dtype f32,f16", 16},
    {"--pass layer --n 60 --d 8 --d-model 24 --groups 2 --rates 1,4/2 --profile", 3},
    {"--pass encoder --n 100", 1},
    {"--op linear:50x20x30", 1},
};

START_TEST(every_pass_is_measured)
{
    json_t *root = run_json(passes[_i].arguments), *row;
    const json_t *rows = json_object_get(root, "results");
    size_t i;
    expect_rates(root);
    ck_assert_uint_eq(json_array_size(rows), passes[_i].rows);
    json_array_foreach((json_t *)rows, i, row)
    {
        expect_measured(json_array_get(json_object_get(root, "devices"), 0), row);
    }
    const json_t *kernels = json_object_get(root, "profile");
    if (strstr(passes[_i].arguments, "--profile")) {
        /* projections, states, route, readout, output: of three rows */
        ck_assert_uint_ge(json_array_size(kernels), 3 * 5);
        json_array_foreach((json_t *)kernels, i, row)
        {
            ck_assert_ptr_nonnull(text(row, "candidate"));
            ck_assert_double_lt(number(row, "result"), (double)passes[_i].rows);
        }
    }
    json_decref(root);
}
END_TEST

/* Neither its rows nor its columns are a length. */
START_TEST(a_product_has_no_length)
{
    json_t *root = run_json("--op linear:50x20x30 --html page.html");
    const json_t *row = json_array_get(json_object_get(root, "results"), 0);
    ck_assert_double_eq(number(row, "n"), 0);
    ck_assert_double_gt(number(row, "gflops"), 0);
    ck_assert(json_is_null(json_object_get(row, "tokens_per_s")));
    json_decref(root);
    const char *page = program_run_in("cat page.html; :", "")->output; /* from the style on */
    ck_assert_ptr_nonnull(strstr(page, "GFLOP/s"));
    ck_assert_ptr_null(strstr(page, " at 50 tokens"));
    ck_assert_ptr_null(strstr(page, "tokens per second"));
}
END_TEST

START_TEST(what_does_not_fit_is_a_row)
{
    json_t *root = run_json("--n 1048576 --d 4096 --batch 64 --attention adamra,linear");
    const json_t *rows = json_object_get(root, "results");
    ck_assert_uint_eq(json_array_size(rows), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *row = json_array_get(rows, i);
        ck_assert_str_eq(text(row, "status"), "skipped");
        ck_assert_str_ne(text(row, "reason"), "");
        ck_assert(json_is_null(json_object_get(row, "ms_median")));
    }
    json_decref(root);
}
END_TEST

START_TEST(what_takes_too_long_is_a_row)
{
    json_t *root = run_json("--n 1048576 --d 4 --attention softmax --max-seconds 0.01");
    const json_t *row = json_array_get(json_object_get(root, "results"), 0);
    ck_assert_str_eq(text(row, "status"), "skipped");
    ck_assert_ptr_nonnull(strstr(text(row, "reason"), "--max-seconds"));
    json_decref(root);
}
END_TEST

/* The first run compiles: what it takes is no reason to leave out those after it. Under sanitizers,
 * where this is run, that is some 6 s, four of which pass the bound. */
START_TEST(a_slow_first_run_is_no_reason)
{
    json_t *root = run_json("--n 64 --attention softmax,bigbird -r 1 --max-seconds 15");
    const json_t *rows = json_object_get(root, "results");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        ck_assert_msg(!strcmp(text(row, "status"), "ok"), "%s", text(row, "reason"));
    }
    json_decref(root);
}
END_TEST

/* A name may hold commas, and a device is measured once however often it is named. */
START_TEST(devices_are_measured_once)
{
    static const char op[] = "--op linear:50x20x30 --device";
    char arguments[1024];
    json_t *root = run_json("--op linear:50x20x30"), *same;
    const char *name = text(json_array_get(json_object_get(root, "devices"), 0), "name");
    const char *uuid = text(json_array_get(json_object_get(root, "devices"), 0), "uuid");
    const char *const formats[] = {"%s '%s'", "%s '%s,%s'"};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        snprintf(arguments, sizeof(arguments), formats[i], op, i ? uuid : name, uuid);
        same = run_json(arguments);
        ck_assert_uint_eq(json_array_size(json_object_get(same, "results")), 1);
        json_decref(same);
    }
    json_decref(root);
    program_expect(program_run("bench --device 0,nothing-is-called-so"), 4, "nothing-is-called-so");
}
END_TEST

START_TEST(files_are_shown_without_measuring)
{
    json_decref(run_json("--n 16 --attention linear"));
    const struct outcome *outcome =
        program_run_in("ADAMRA_DEVICE=0", "bench --preset none --compare result.json");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_ptr_nonnull(strstr(outcome->output, "| linear"));
    outcome = program_run("bench --preset none --compare result.json result.json");
    ck_assert_ptr_nonnull(strstr(outcome->output, "verdict"));
    ck_assert_ptr_nonnull(strstr(outcome->output, "unknown")); /* two samples */
    outcome = program_run("bench --preset none -o json --compare result.json result.json");
    json_t *root = json_loads(outcome->output, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "results")), 1);
    json_decref(root);
    outcome =
        program_run_in(SMALL, "bench --n 16 --attention linear --compare result.json " SHORT);
    ck_assert_ptr_nonnull(strstr(outcome->output, "\n\ncompared with")); /* no line of a table */
    program_expect(program_run("bench --preset none --compare result.json --svg ./result.json"), 2,
                   "expected other files than those of --compare, got ./result.json");
    ck_assert_int_eq(program_run("bench --preset none --compare result.json")->code, 0);
}
END_TEST

START_TEST(an_interrupt_keeps_what_is_done)
{
    json_error_t error;
    /* One interrupt: without --foreground the group gets a second one, and that ends the program.
     */
    const struct outcome *outcome =
        program_run_in("timeout --foreground --preserve-status -s INT 3",
                       "bench --n 64 --min-seconds 1000 --max-seconds 2000 -o json > result.json");
    ck_assert_int_eq(outcome->code, 130);
    json_t *root = json_load_file(program_path("result.json"), 0, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "results")), 0);
    json_decref(root);
    /* a table of nothing is none, and a page stays */
    program_write("page.html", "old");
    outcome = program_run_in("timeout --foreground --preserve-status -s INT 3",
                             "bench --n 64 --min-seconds 1000 --max-seconds 2000 --html page.html");
    ck_assert_int_eq(outcome->code, 130);
    ck_assert_str_eq(outcome->output, "");
    ck_assert_str_eq(program_run_in("cat page.html; :", "")->output, "old");
}
END_TEST

Suite *bench_run_suite(void)
{
    Suite *suite = suite_create("bench_run");
    TCase *tests = program_case("bench_run", "program");
    tcase_add_loop_test(tests, wrong_usage_exits_2, 0, ARRAY_SIZE(wrong));
    tcase_add_test(tests, other_failures_have_their_codes);
    tcase_add_test(tests, pages_are_tried_first);
    tcase_add_test(tests, a_full_disk_is_said_once);
    tcase_add_test(tests, help_names_flags_and_presets);
    tcase_add_loop_test(tests, every_pass_is_measured, 0, ARRAY_SIZE(passes));
    tcase_add_test(tests, a_product_has_no_length);
    tcase_add_test(tests, what_does_not_fit_is_a_row);
    tcase_add_test(tests, what_takes_too_long_is_a_row);
    tcase_add_test(tests, a_slow_first_run_is_no_reason);
    tcase_add_test(tests, devices_are_measured_once);
    tcase_add_test(tests, files_are_shown_without_measuring);
    tcase_add_test(tests, an_interrupt_keeps_what_is_done);
    suite_add_tcase(suite, tests);
    return suite;
}
