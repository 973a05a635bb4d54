/* Comparisons of made-up runs, whose samples have quartiles 2 % apart. */
#include "bench_sample.h"
#include <stdlib.h>
#include <string.h>

static char *compared(const struct bench_results *current, struct bench_results *other)
{
    static const char *const names[] = {"old.json"};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(file);
    ck_assert(bench_compare(file, current, &other, names, 1));
    fclose(file);
    return text;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (text = strstr(text, part); text; text = strstr(text + 1, part)) {
        count++;
    }
    return count;
}

static void expect_part(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in\n%s", part, text);
}

START_TEST(differences_within_the_spread_are_none)
{
    static const struct {
        double old_scale;
        const char *ratio, *summary;
    } cases[] = {
        {1.3, "| 1.300 | 2.00 % | faster ", "10 faster, 0 slower, 0 same; "},
        {1.025, "| 1.025 | 2.00 % | faster ", "10 faster, 0 slower, 0 same; "},
        {1.015, "| 1.015 | 2.00 % | same ", "0 faster, 0 slower, 10 same; "},
        {1, "| 1.000 | 2.00 % | same ", "0 faster, 0 slower, 10 same; "},
        {0.985, "| 0.985 | 2.00 % | same ", "0 faster, 0 slower, 10 same; "},
        {0.975, "| 0.975 | 2.00 % | slower ", "0 faster, 10 slower, 0 same; "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct bench_results *current = sample_results(&(struct sample_spec){0});
        char *text =
            compared(current, sample_results(&(struct sample_spec){.scale = cases[i].old_scale}));
        char *squeezed = text;
        for (char *at = text; *at; at++) { /* columns are padded with spaces */
            if (at[0] != ' ' || at[1] != ' ') {
                *squeezed++ = *at;
            }
        }
        *squeezed = 0;
        ck_assert_msg(occurrences(text, cases[i].ratio) == 10, "%s", text);
        expect_part(text, cases[i].summary);
        free(text);
    }
}
END_TEST

START_TEST(the_larger_spread_counts)
{
    struct bench_results *current = sample_results(&(struct sample_spec){0});
    struct bench_results *other = sample_results(&(struct sample_spec){.scale = 1.3});
    other->rows[0].samples_ms[0] = 0.1; /* quartiles stay, two of five samples move */
    other->rows[0].samples_ms[4] = 99;
    other->rows[1].samples_ms[0] = other->rows[1].samples_ms[1] = 0.01;
    char *text = compared(current, other);
    expect_part(text, "9 faster, 0 slower, 1 same; ");
    free(text);
}
END_TEST

/* In one file or in both. */
START_TEST(few_samples_say_nothing)
{
    struct bench_results *current = sample_results(&(struct sample_spec){0});
    struct bench_results *other = sample_results(&(struct sample_spec){.scale = 1.3});
    current->rows[1].sample_count = 2;
    current->rows[2].sample_count = other->rows[2].sample_count = 1;
    other->rows[3].sample_count = 0;
    other->rows[4].sample_count = 3;
    char *text = compared(current, other);
    expect_part(text, "7 faster, 0 slower, 0 same, 3 unknown; ");
    expect_part(text, " - | unknown |");
    free(text);
}
END_TEST

START_TEST(rows_match_by_options)
{
    struct bench_results *current = sample_results(&(struct sample_spec){.encoder = true});
    struct bench_results *other = sample_results(&(struct sample_spec){.op = true});
    char *text = compared(current, other);
    expect_part(text, "0 faster, 0 slower, 10 same; ");
    expect_part(text, "; 3 rows without a partner\n"); /* skipped, wrong, the encoder's */
    free(text);
    for (size_t i = 0; i < other->row_count; i++) {
        other->rows[i].batch = 2;
    }
    text = compared(current, other);
    expect_part(text, "0 faster, 0 slower, 0 same; 13 rows without a partner\n");
    free(text);
}
END_TEST

START_TEST(devices_match_by_identity_then_name)
{
    struct bench_results *both = sample_results(&(struct sample_spec){.devices = 2});
    char *text = compared(both, sample_results(&(struct sample_spec){.devices = 2}));
    expect_part(text, "0 faster, 0 slower, 20 same; ");
    free(text);
    /* the old file has only a device of another UUID, called as the second one here */
    struct bench_results *other = sample_results(&(struct sample_spec){.device = "Device 1"});
    other->devices[0].uuid = "11111111-0000-0000-0000-000000000000";
    text = compared(both, other);
    expect_part(text, "old is Device 1, new is Device <0> & \"co\"\n");
    ck_assert_uint_eq(occurrences(text, "old is "), 1);
    expect_part(text, "0 faster, 10 slower, 10 same; ");
    free(text);
    other->device_count = 0;
    text = compared(both, other);
    expect_part(text, "; 24 rows without a partner\n");
    free(text);
}
END_TEST

START_TEST(a_full_disk_is_noticed)
{
    static const char *const names[] = {"old.json"};
    struct bench_results *results = sample_results(&(struct sample_spec){0});
    FILE *file = fopen("/dev/full", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert(!bench_compare(file, results, &results, names, 1));
    fclose(file);
}
END_TEST

Suite *bench_compare_suite(void)
{
    Suite *suite = suite_create("bench_compare");
    TCase *tests = tcase_create("comparisons");
    tcase_add_checked_fixture(tests, NULL, sample_finish);
    tcase_add_test(tests, differences_within_the_spread_are_none);
    tcase_add_test(tests, the_larger_spread_counts);
    tcase_add_test(tests, few_samples_say_nothing);
    tcase_add_test(tests, rows_match_by_options);
    tcase_add_test(tests, devices_match_by_identity_then_name);
    tcase_add_test(tests, a_full_disk_is_noticed);
    suite_add_tcase(suite, tests);
    return suite;
}
