/* Pages and stand-alone plots of made-up results. */
#include "bench_sample.h"
#include "bench_plot.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- documents ---- */

static char *written(int (*write)(const char *, const struct bench_results *const *, size_t),
                     const struct bench_results *const *results, size_t count)
{
    const char *path = sample_file("old content");
    ck_assert_int_eq(write(path, results, count), 0);
    char *text = sample_read_file(path);
    unlink(path);
    return text;
}

static char *page_of(const struct bench_results *results)
{
    return written(bench_html, &results, 1);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (text = strstr(text, part); text; text = strstr(text + 1, part)) {
        count++;
    }
    return count;
}

/* An entity at text; what follows '&' must be one. */
static bool is_entity(const char *text)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
        found |= !strncmp(text, entities[i], strlen(entities[i]));
    }
    return found;
}

/* Behind the tag at text: name="value" attributes only, in double quotes. */
static const char *skip_tag(const char *text)
{
    for (text++; *text != '>'; text++) {
        ck_assert_msg(*text && *text != '<', "tag is not closed: %.40s", text);
        if (*text == '"') {
            text = strchr(text + 1, '"');
            ck_assert_ptr_nonnull(text);
        }
    }
    return text + 1;
}

/* Every tag is closed, in order, and text has no markup that is not escaped. */
static void expect_well_formed(const char *text)
{
    char open[32][16];
    size_t depth = 0;
    if (!strncmp(text, "<!DOCTYPE html>", 15)) {
        text += 15;
    }
    while (*text) {
        ck_assert_msg(*text != '&' || is_entity(text), "not escaped: %.40s", text);
        if (*text != '<') {
            text++;
            continue;
        }
        const char *end = skip_tag(text);
        bool closes = text[1] == '/', empty = end[-2] == '/';
        const char *name = text + 1 + closes;
        size_t length = strcspn(name, " />");
        ck_assert_uint_gt(length, 0);
        ck_assert_uint_lt(length, sizeof(open[0]));
        if (closes) {
            ck_assert_msg(depth > 0 && strlen(open[depth - 1]) == length &&
                              !strncmp(open[depth - 1], name, length),
                          "%.*s closes %s", (int)length, name, depth ? open[depth - 1] : "nothing");
            depth--;
        } else if (!empty) {
            ck_assert_uint_lt(depth, ARRAY_SIZE(open));
            snprintf(open[depth++], sizeof(open[0]), "%.*s", (int)length, name);
        }
        text = end;
    }
    ck_assert_msg(depth == 0, "%s is not closed", depth ? open[depth - 1] : "");
}

/* Coordinates are numbers: of the letters that nan and inf are written with, none stands in a
 * path or a place. */
static void expect_finite(const char *text)
{
    static const char *const attributes[] = {" d=\"", " x=\"", " y=\"", " width=\"", "viewBox=\""};
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
        for (const char *at = strstr(text, attributes[i]); at; at = strstr(at + 1, attributes[i])) {
            const char *value = strchr(at, '"') + 1;
            size_t length = strcspn(value, "\"");
            ck_assert_msg(strcspn(value, "nNif") >= length || !strncmp(value, "device-", 7), "%.*s",
                          (int)length, value);
        }
    }
}

static void expect_self_contained(const char *text)
{
    static const char *const forbidden[] = {
        "<script", "<link", "src=", "href=", "url(", "@import", "javascript:"};
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
        ck_assert_msg(!strstr(text, forbidden[i]), "%s", forbidden[i]);
    }
    ck_assert_uint_eq(occurrences(text, "http"),
                      occurrences(text, "xmlns=\"http://www.w3.org/2000/svg\""));
}

static void expect_sound(const char *text)
{
    expect_well_formed(text);
    expect_self_contained(text);
    expect_finite(text);
}

static void expect_part(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\"", part);
}

/* ---- pages ---- */

START_TEST(a_page_shows_every_point)
{
    const struct bench_results *results = sample_results(&(struct sample_spec){0});
    char *text = page_of(results);
    expect_sound(text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), 3 * sample_points(results));
    ck_assert_uint_eq(occurrences(text, "<svg"), 4); /* time, memory, share, bars */
    static const char *const parts[] = {
        "Device &lt;0&gt; &amp; &quot;co&quot;",
        "made up 1.2.3",
        "2026-01-02T03:04:05Z",
        "adamra bench --n 1024-65536*4",
        "gcc 14.2.0",
        "Core pass",
        "<title>adamra, n 4,096: 4.096 ms median, 4.01408 min, 4.17792 p95</title>",
        "<title>softmax, n 1,024: 1,572,864 bytes of inputs, 262,144 of outputs, 0 beyond</title>",
        "softmax at 65,536 tokens is skipped: would take &lt;1 h&gt;, &quot;too&quot; long",
        "linear at 65,536 tokens is wrong: differs by 0.5",
        ">length n, tokens<",
        ">milliseconds, median<",
        ">16 Ki<",
        "4,001 tokens on",
        "not reached",
        "prefers-color-scheme:dark",
        "name=\"viewport\"",
        "charset=\"utf-8\""};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        expect_part(text, parts[i]);
    }
    free(text);
}
END_TEST

START_TEST(a_page_shows_several_results)
{
    const struct bench_results *const sets[] = {
        sample_results(
            &(struct sample_spec){.encoder = true, .op = true, .profile = true, .devices = 2}),
        sample_results(&(struct sample_spec){.device = "Third", .scale = 0.1})};
    size_t points = sample_points(sets[0]) + sample_points(sets[1]);
    char *text = written(bench_html, sets, 2);
    expect_sound(text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), 3 * points);
    static const char *const parts[] = {
        ">adamra A<",
        ">softmax C<",
        ">linear A, B, C<",
        "Core pass",
        "Encoder pass",
        "Products",
        "Where the time",
        "<caption>adamra A: core; f32; rates 1,2,4,8; kv per-head; n 1,024; d 64; ",
        "tile 64x64",
        ">Tuned kernels</th>",
        ">2</td></tr>",
        "Third",
        "Device 1",
        "linear:512x512x2048 A"};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        expect_part(text, parts[i]);
    }
    ck_assert_uint_eq(occurrences(text, "class=\"bar\""), 9 + 1 + 1);
    free(text);
}
END_TEST

/* More lines than a table has columns. */
START_TEST(a_page_of_many_results_leaves_nothing_out)
{
    const struct bench_results *sets[20];
    char heading[32];
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        sets[i] = sample_results(&(struct sample_spec){.scale = 1 + 0.1 * (double)i});
    }
    char *text = written(bench_html, sets, ARRAY_SIZE(sets));
    expect_sound(text);
    for (char letter = 'A'; letter < 'A' + (char)ARRAY_SIZE(sets); letter++) {
        snprintf(heading, sizeof(heading), "linear %c</th>", letter);
        ck_assert_uint_eq(occurrences(text, heading), 4); /* as figures */
    }
    free(text);
}
END_TEST

START_TEST(text_from_anywhere_is_escaped)
{
    static const char *command[] = {"<script>alert(1)</script>", "&", "\"'"};
    struct bench_results *results = sample_results(
        &(struct sample_spec){.device = "</title><img onerror=x>\xff\x01", .op = true});
    results->command = command;
    results->command_count = ARRAY_SIZE(command);
    results->version = "<b>";
    results->rows[0].attention = "a<i>\"b\"</i>";
    results->rows[results->row_count - 1].op = "<u>";
    char *text = page_of(results);
    expect_sound(text);
    expect_part(text, "&lt;script&gt;alert(1)&lt;/script&gt;");
    expect_part(text, "onerror=x&gt;\xef\xbf\xbd\xef\xbf\xbd");
    free(text);
    text = written(bench_svg, (const struct bench_results *const *)&results, 1);
    expect_sound(text);
    free(text);
}
END_TEST

START_TEST(a_page_of_odd_results_is_sound)
{
    struct bench_results *results = sample_results(&(struct sample_spec){.profile = true});
    size_t rows = results->row_count;
    results->row_count = 1; /* one length, one kind */
    results->crossover_count = 0;
    char *text = page_of(results);
    expect_sound(text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), 3);
    free(text);
    results->row_count = rows;
    for (size_t i = 0; i < rows; i++) { /* no rates measured, no scratch, equal times */
        results->rows[i].limit_share = 0;
        results->rows[i].ms_min = results->rows[i].ms_median = results->rows[i].ms_p95 = 1;
    }
    text = page_of(results);
    expect_sound(text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), 2 * sample_points(results));
    free(text);
    for (size_t i = 0; i < rows; i++) {
        results->rows[i].status = ROW_SKIPPED;
    }
    text = page_of(results);
    expect_sound(text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), 0);
    ck_assert_uint_eq(occurrences(text, "class=\"bar\""), 0);
    free(text);
    results->row_count = results->device_count = results->kernel_count = 0;
    text = page_of(results);
    expect_sound(text);
    free(text);
    text = written(bench_svg, (const struct bench_results *const *)&results, 1);
    expect_sound(text);
    free(text);
}
END_TEST

START_TEST(the_picture_is_the_plot_of_times)
{
    const struct bench_results *results = sample_results(&(struct sample_spec){0});
    char *text = written(bench_svg, &results, 1);
    expect_sound(text);
    ck_assert_ptr_eq(strstr(text, "<svg xmlns=\"http://www.w3.org/2000/svg\""), text);
    ck_assert_uint_eq(occurrences(text, "class=\"point\""), sample_points(results));
    ck_assert_uint_eq(occurrences(text, "class=\"crossing\""), 1);
    expect_part(text, "core; f32; rates 1,2,4,8; kv per-head; d 64");
    free(text);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_is_refused)
{
    const struct bench_results *results = sample_results(&(struct sample_spec){0});
    ck_assert_int_eq(bench_html("/nowhere/page.html", &results, 1), 1);
    ck_assert_int_eq(bench_svg("/nowhere/plot.svg", &results, 1), 1);
}
END_TEST

/* ---- axes and numbers ---- */

START_TEST(axes_have_round_ticks)
{
    static const struct {
        enum axis_kind kind;
        double low, high;
        size_t ticks;
        const char *labels;
    } cases[] = {
        {AXIS_LENGTH, 1024, 65536, 6, "1,024 4,096 16 Ki 64 Ki"},
        {AXIS_LENGTH, 1024, 8192, 6, "1,024 2,048 4,096 8,192"},
        {AXIS_LENGTH, 4096, 4096, 6, "2,048 4,096 8,192"},
        {AXIS_LENGTH, 1000, 100000, 6, "1,024 4,096 16 Ki 64 Ki"},
        {AXIS_LENGTH, 262144, 4194304, 6, "256 Ki 512 Ki 1 Mi 2 Mi 4 Mi"},
        {AXIS_NUMBER, 0.02, 3000, 9, "0.1 1 10 100 1,000"},
        {AXIS_NUMBER, 1, 9, 9, "1 2 5"},
        {AXIS_BYTES, 1 << 20, 1 << 23, 9, "1 MiB 2 MiB 4 MiB 8 MiB"},
        {AXIS_SHARE, 0.1, 1, 9, "0 % 20 % 40 % 60 % 80 % 100 %"},
        {AXIS_AMOUNT, 0, 2.5e6, 5, "0 500 k 1 M 1.5 M 2 M 2.5 M"},
        {AXIS_AMOUNT, 0, 5e-324, 5, "0 0.2 0.4 0.6 0.8 1"},
        {AXIS_AMOUNT, 0, 0, 5, "0 0.2 0.4 0.6 0.8 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct axis axis;
        char labels[256] = "";
        axis_init(&axis, cases[i].kind, cases[i].low, cases[i].high, cases[i].ticks);
        for (size_t j = 0; j < axis.tick_count; j++) {
            size_t used = strlen(labels);
            snprintf(labels + used, sizeof(labels) - used, "%s%s", j ? " " : "",
                     axis.labels[j].text);
            ck_assert(axis_place(&axis, axis.ticks[j]) >= -1e-9);
            ck_assert(axis_place(&axis, axis.ticks[j]) <= 1 + 1e-9);
        }
        ck_assert_str_eq(labels, cases[i].labels);
    }
}
END_TEST

START_TEST(numbers_have_three_digits)
{
    static const struct {
        double value;
        const char *number, *si, *bytes;
    } cases[] = {
        {0, "0", "0", "0 B"},
        {0.00001234, "1.2e-05", "1.2e-05", "1.2e-05 B"},
        {0.012345, "0.0123", "0.0123", "0.0123 B"},
        {0.99951, "1.00", "1.00", "1.00 B"},
        {9.9949, "9.99", "9.99", "9.99 B"},
        {9.9951, "10.0", "10.0", "10.0 B"},
        {99.96, "100", "100", "100 B"},
        {999.6, "1,000", "1.00 k", "1,000 B"},
        {1048576, "1,048,576", "1.05 M", "1.00 MiB"},
        {-1234.5, "-1,235", "-1,235", "-1,235 B"},
        {INFINITY, "inf", "inf T", "inf TiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_str_eq(text_number(cases[i].value).text, cases[i].number);
        ck_assert_str_eq(text_si(cases[i].value).text, cases[i].si);
        ck_assert_str_eq(text_bytes(cases[i].value).text, cases[i].bytes);
    }
    ck_assert_str_eq(text_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
    ck_assert_str_eq(text_percent(0.12345).text, "12.3 %");
}
END_TEST

Suite *bench_html_suite(void)
{
    Suite *suite = suite_create("bench_html");
    TCase *pages = tcase_create("pages"), *numbers = tcase_create("numbers");
    tcase_add_checked_fixture(pages, NULL, sample_finish);
    tcase_add_test(pages, a_page_shows_every_point);
    tcase_add_test(pages, a_page_shows_several_results);
    tcase_add_test(pages, a_page_of_many_results_leaves_nothing_out);
    tcase_add_test(pages, text_from_anywhere_is_escaped);
    tcase_add_test(pages, a_page_of_odd_results_is_sound);
    tcase_add_test(pages, the_picture_is_the_plot_of_times);
    tcase_add_test(pages, a_path_that_cannot_be_written_is_refused);
    suite_add_tcase(suite, pages);
    tcase_add_test(numbers, axes_have_round_ticks);
    tcase_add_test(numbers, numbers_have_three_digits);
    suite_add_tcase(suite, numbers);
    return suite;
}
