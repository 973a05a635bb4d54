/* Results in every format, parsed back. */
#include "bench_sample.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct sample_spec everything = {
    .encoder = true, .op = true, .profile = true, .devices = 2};

/* ---- json ---- */

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(value != NULL, "%s at %d: %s", error.text, error.position, text);
    return value;
}

static void expect_keys(const json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        ck_assert_str_eq(key, *keys);
        keys++;
    }
    ck_assert_ptr_null(*keys);
}

#define ROW_KEYS                                                                                   \
    "device", "attention", "pass", "dtype", "rates", "kv", "op", "n", "d", "batch", "groups",      \
        "d_model", "status", "reason", "ms_min", "ms_median", "ms_p95", "ms_max", "samples_ms",    \
        "host_ms_median", "first_ms", "first_warm_ms", "tokens_per_s", "ns_per_token",             \
        "operations", "bytes", "gflops", "gbytes_per_s", "limit_share", "input_bytes",             \
        "output_bytes", "peak_device_bytes"
#define DEVICE_KEYS                                                                                \
    "name", "type", "uuid", "driver", "driver_version", "api_version", "copy_gbytes_per_s",        \
        "f32_gflops", "f16_gflops", "tuned"

START_TEST(json_has_the_documented_layout)
{
    const struct bench_results *results = sample_results(&everything);
    char *text = sample_written(bench_write_json, results);
    json_t *root = parse(text);
    expect_keys(root, (const char *const[]){"schema", "adamra", "build", "date", "command",
                                            "crossovers", "profile", "devices", "results", NULL});
    expect_keys(json_object_get(root, "build"),
                (const char *const[]){"compiler", "type", "commit", NULL});
    const json_t *devices = json_object_get(root, "devices");
    ck_assert_uint_eq(json_array_size(devices), 2);
    expect_keys(json_array_get(devices, 0), (const char *const[]){"index", DEVICE_KEYS, NULL});
    ck_assert(json_is_null(json_object_get(json_array_get(devices, 1), "f16_gflops")));
    const json_t *rows = json_object_get(root, "results");
    ck_assert_uint_eq(json_array_size(rows), results->row_count);
    for (size_t i = 0; i < results->row_count; i++) {
        expect_keys(json_array_get(rows, i), (const char *const[]){ROW_KEYS, NULL});
    }
    expect_keys(json_array_get(json_object_get(root, "crossovers"), 1),
                (const char *const[]){"device", "against", "n", "attention", "pass", "dtype",
                                      "rates", "kv", "op", "d", "batch", "groups", "d_model",
                                      NULL});
    expect_keys(json_array_get(json_object_get(root, "profile"), 0),
                (const char *const[]){"result", "name", "candidate", "ms", "share", "gbytes_per_s",
                                      "gflops", "limit_share", NULL});
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(json_has_null_where_nothing_was_measured)
{
    const struct bench_results *results = sample_results(&(struct sample_spec){0});
    char *text = sample_written(bench_write_json, results);
    json_t *root = parse(text);
    const json_t *rows = json_object_get(root, "results");
    static const char *const measured[] = {"ms_median", "samples_ms", "limit_share", "gflops",
                                           "peak_device_bytes"};
    size_t skipped = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        const json_t *row = json_array_get(rows, i);
        bool ok = results->rows[i].status == ROW_OK;
        skipped += !ok;
        for (size_t j = 0; j < ARRAY_SIZE(measured); j++) {
            ck_assert_int_eq(json_is_null(json_object_get(row, measured[j])), !ok);
        }
        ck_assert_str_eq(json_string_value(json_object_get(row, "reason")),
                         results->rows[i].reason);
        ck_assert_str_eq(json_string_value(json_object_get(row, "status")),
                         bench_status_names[results->rows[i].status]);
    }
    ck_assert_uint_eq(skipped, 2);
    ck_assert_ptr_null(json_object_get(root, "profile"));
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(json_is_valid_for_any_text)
{
    const struct bench_results *results =
        sample_results(&(struct sample_spec){.device = "a\"b\\\n\x01\xff\xc3(\xe2\x82\xac</p>"});
    char *text = sample_written(bench_write_json, results);
    json_t *root = parse(text);
    const json_t *device = json_array_get(json_object_get(root, "devices"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(device, "name")),
                     "a\"b\\\n\x01\xef\xbf\xbd\xef\xbf\xbd(\xe2\x82\xac</p>");
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(jsonl_has_a_whole_result_a_line)
{
    const struct bench_results *results = sample_results(&everything);
    char *text = sample_written(bench_write_jsonl, results), *rest = text, *line;
    size_t lines = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        json_t *object = parse(line);
        const struct bench_row *row = &results->rows[lines++];
        expect_keys(object, (const char *const[]){"schema", "adamra", "date", "build", ROW_KEYS,
                                                  DEVICE_KEYS, NULL});
        ck_assert_int_eq(json_integer_value(json_object_get(object, "n")), row->n);
        ck_assert_str_eq(json_string_value(json_object_get(object, "name")),
                         results->devices[row->device].name);
        json_decref(object);
    }
    ck_assert_uint_eq(lines, results->row_count);
    free(text);
}
END_TEST

/* ---- csv ---- */

#define CSV_MAX 64

/* Splits the record at *text, in which all fields must be quoted; moves behind it. */
static size_t csv_record(char **text, const char **fields)
{
    size_t count = 0;
    char *at = *text;
    do {
        ck_assert_uint_lt(count, CSV_MAX);
        ck_assert_int_eq(*at, '"');
        char *out = ++at;
        fields[count++] = out;
        while (*at != '"' || at[1] == '"') {
            ck_assert_int_ne(*at, 0);
            at += *at == '"';
            *out++ = *at++;
        }
        at++;
        *out = 0;
    } while (*at == ',' && at++);
    ck_assert(at[0] == '\r' && at[1] == '\n');
    *text = at + 2;
    return count;
}

static const char *csv_field(const char **names, const char **fields, const char *name)
{
    size_t i = 0;
    while (strcmp(names[i], name) != 0) {
        ck_assert_uint_lt(++i, CSV_MAX);
    }
    return fields[i];
}

START_TEST(csv_has_all_fields_in_every_line)
{
    const struct bench_results *results = sample_results(&everything);
    char *text = sample_written(bench_write_csv, results), *at = text;
    const char *names[CSV_MAX] = {0}, *fields[CSV_MAX];
    size_t count = csv_record(&at, names), row;
    ck_assert_uint_eq(count, 48);
    for (row = 0; *at; row++) {
        const struct bench_row *expected = &results->rows[row];
        bool ok = expected->status == ROW_OK;
        ck_assert_uint_eq(csv_record(&at, fields), count);
        ck_assert_str_eq(csv_field(names, fields, "schema"), "1");
        ck_assert_str_eq(csv_field(names, fields, "reason"), expected->reason);
        ck_assert_str_eq(csv_field(names, fields, "name"), results->devices[expected->device].name);
        const char *median = csv_field(names, fields, "ms_median");
        ck_assert_int_eq(*median == 0, !ok);
        ck_assert(strtod(median, NULL) == expected->ms_median);
        char *samples = (char *)csv_field(names, fields, "samples_ms");
        for (size_t i = 0; i < expected->sample_count; i++) {
            ck_assert_double_eq_tol(strtod(samples, &samples), expected->samples_ms[i], 1e-9);
        }
        ck_assert_str_eq(samples, "");
    }
    ck_assert_uint_eq(row, results->row_count);
    free(text);
}
END_TEST

/* ---- md ---- */

START_TEST(md_shows_what_varies)
{
    const struct bench_results *results = sample_results(&(struct sample_spec){0});
    char *text = sample_written(bench_write_md, results);
    static const char *const expected[] = {
        "| attention |      n |",
        "- adamra 0.1.0 (0123abc, release, gcc 14.2.0)",
        "- `adamra bench --n 1024-65536*4`\n",
        "Vulkan 1.3.280): copy 20.5 GB/s, f32 100 GFLOP/s",
        "- core; f32; rates 1,2,4,8; kv per-head; d 64; batch 1; groups 1",
        "adamra is faster than softmax from n = 4,001 on\n",
        "adamra does not become faster than linear at the lengths measured\n",
        "skipped: would take <1 h>, \"too\" long, by far",
        "wrong: differs by 0.5"};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        ck_assert_msg(strstr(text, expected[i]) != NULL, "no \"%s\" in\n%s", expected[i], text);
    }
    ck_assert_ptr_null(strstr(text, "| batch"));
    ck_assert_ptr_null(strstr(text, "| device"));
    size_t lines = 0, width = 0;
    for (const char *at = strstr(text, "\n| "); at; at = strstr(at + 1, "\n| "), lines++) {
        size_t length = strcspn(at + 1, "\n");
        ck_assert(!width || length == width);
        width = length;
    }
    ck_assert_uint_eq(lines, results->row_count + 2);
    free(text);
    text = sample_written(bench_write_md, sample_results(&everything));
    ck_assert_ptr_nonnull(strstr(text, "| device | attention | pass    | dtype | op "));
    ck_assert_ptr_nonnull(strstr(text, "| tile 64x64 |"));
    /* Kernels have the columns that tell rows apart, too. */
    const char *columns = strstr(strstr(text, "| dtype |") + 1, "| dtype |");
    ck_assert(columns && strstr(columns, "| kernel ") < strchr(columns, '\n'));
    free(text);
}
END_TEST

/* ---- all formats ---- */

static bool (*const writers[])(FILE *, const struct bench_results *) = {
    bench_write_md, bench_write_csv, bench_write_json, bench_write_jsonl};

START_TEST(a_full_disk_is_noticed)
{
    const struct bench_results *results = sample_results(&everything);
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        FILE *file = fopen("/dev/full", "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_msg(!writers[i](file, results), "writer %zu", i);
        fclose(file);
    }
}
END_TEST

START_TEST(formats_show_a_run_without_rows)
{
    static struct bench_results empty = {
        .version = "", .date = "", .build_compiler = "", .build_type = "", .build_commit = ""};
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        free(sample_written(writers[i], &empty));
    }
}
END_TEST

Suite *bench_write_suite(void)
{
    Suite *suite = suite_create("bench_write");
    TCase *formats = tcase_create("formats");
    tcase_add_checked_fixture(formats, NULL, sample_finish);
    tcase_add_test(formats, json_has_the_documented_layout);
    tcase_add_test(formats, json_has_null_where_nothing_was_measured);
    tcase_add_test(formats, json_is_valid_for_any_text);
    tcase_add_test(formats, jsonl_has_a_whole_result_a_line);
    tcase_add_test(formats, csv_has_all_fields_in_every_line);
    tcase_add_test(formats, md_shows_what_varies);
    tcase_add_test(formats, a_full_disk_is_noticed);
    tcase_add_test(formats, formats_show_a_run_without_rows);
    suite_add_tcase(suite, formats);
    return suite;
}
