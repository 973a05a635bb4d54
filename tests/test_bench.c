/* bench: lists of flags, and lengths at which adamra becomes faster. */
#include "bench_run.h"
#include "suites.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static const struct {
    const char *text;
    uint32_t count; /* 0: refused */
    uint32_t items[8];
} counts[] = {
    {"1", 1, {1}},
    {"1024,4096", 2, {1024, 4096}},
    {"4294967295", 1, {UINT32_MAX}},
    {"1024-65536*4", 4, {1024, 4096, 16384, 65536}},
    {"1024-65535*4", 3, {1024, 4096, 16384}},
    {"1024-4096+1024", 4, {1024, 2048, 3072, 4096}},
    {"5-8", 4, {5, 6, 7, 8}},
    {"7-7", 1, {7}},
    {"7-7*2,1-3+2,9", 4, {7, 1, 3, 9}},
    {"2147483648-4294967295*2", 1, {1U << 31}},
    {"4294967295-4294967295+4294967295", 1, {UINT32_MAX}},
    {"", 0, {0}},
    {"0", 0, {0}},
    {"1,", 0, {0}},
    {",1", 0, {0}},
    {"1 ,2", 0, {0}},
    {"-1", 0, {0}},
    {"+1", 0, {0}},
    {"1.5", 0, {0}},
    {"4294967296", 0, {0}},
    {"8-4", 0, {0}},
    {"1-8*1", 0, {0}},
    {"1-8*0", 0, {0}},
    {"1-8+0", 0, {0}},
    {"1-", 0, {0}},
    {"1-8*", 0, {0}},
    {"1-8/2", 0, {0}},
    {"1-65", 0, {0}},
    {"4k", 0, {0}},
};

START_TEST(counts_are_read)
{
    struct count_list list;
    bool right = list_counts(counts[_i].text, &list);
    ck_assert_msg(right == (counts[_i].count > 0), "'%s'", counts[_i].text);
    if (right) {
        ck_assert_uint_eq(list.count, counts[_i].count);
        ck_assert_mem_eq(list.items, counts[_i].items, list.count * sizeof(list.items[0]));
    }
}
END_TEST

START_TEST(a_list_holds_64_entries)
{
    struct count_list list;
    ck_assert(list_counts("1-64", &list));
    ck_assert_uint_eq(list.count, LIST_MAX);
    ck_assert_uint_eq(list.items[63], 64);
    ck_assert(!list_counts("1-64,1", &list));
}
END_TEST

START_TEST(rates_are_read)
{
    struct rate_sets sets;
    ck_assert(list_rates("1,2,4,8/1,4,16/3", &sets));
    ck_assert_uint_eq(sets.count, 3);
    ck_assert_uint_eq(sets.items[0].count, 4);
    ck_assert_uint_eq(sets.items[0].items[3], 8);
    ck_assert_uint_eq(sets.items[1].count, 3);
    ck_assert_uint_eq(sets.items[1].items[2], 16);
    ck_assert_uint_eq(sets.items[2].count, 1);
    static const char *const wrong[] = {"", "0", "1,", "/1", "1/", "1//2", "1,2;4", "1-4"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        ck_assert_msg(!list_rates(wrong[i], &sets), "'%s'", wrong[i]);
    }
}
END_TEST

START_TEST(names_are_read)
{
    struct kind_list kinds;
    struct type_list types;
    ck_assert(list_kinds("softmax,adamra", &kinds));
    ck_assert_uint_eq(kinds.count, 2);
    ck_assert_ptr_eq(kinds.items[0], &attn_softmax);
    ck_assert_ptr_eq(kinds.items[1], &attn_adamra);
    ck_assert(list_types("f16,f32", &types));
    ck_assert_uint_eq(types.count, 2);
    ck_assert_int_eq(types.items[0], ELEMENT_F16);
    ck_assert_int_eq(types.items[1], ELEMENT_F32);
    static const char *const wrong[] = {"", ",", "adamra,", "f64", "Adamra", "f32,,f16"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        ck_assert_msg(!list_kinds(wrong[i], &kinds), "'%s'", wrong[i]);
        ck_assert_msg(!list_types(wrong[i], &types), "'%s'", wrong[i]);
    }
}
END_TEST

START_TEST(products_are_read)
{
    struct product_size size;
    ck_assert(list_product("linear:3x50x4294967295", &size));
    ck_assert_uint_eq(size.m, 3);
    ck_assert_uint_eq(size.k, 50);
    ck_assert_uint_eq(size.n, UINT32_MAX);
    static const char *const wrong[] = {"",
                                        "linear",
                                        "linear:",
                                        "linear:1x2",
                                        "linear:1x2x",
                                        "linear:1x2x3x",
                                        "linear:0x2x3",
                                        "1x2x3",
                                        "norm:1x2x3",
                                        "linear:1x2x3 "};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        ck_assert_msg(!list_product(wrong[i], &size), "'%s'", wrong[i]);
    }
}
END_TEST

/* ---- crossovers ---- */

static struct bench_row made_up(const char *attention, uint64_t n, double ms)
{
    return (struct bench_row){.attention = attention,
                              .pass = PASS_CORE,
                              .dtype = "f32",
                              .rates = strcmp(attention, "adamra") == 0 ? "1,2" : "",
                              .n = n,
                              .d = 64,
                              .batch = 1,
                              .groups = 1,
                              .status = ms > 0 ? ROW_OK : ROW_SKIPPED,
                              .ms_median = ms};
}

/* The crossover of rows; the caller calls bench_run_finish's part for what it allocated. */
static const struct bench_crossover *find(struct bench_run *run, struct bench_row *rows,
                                          size_t count, struct bench_row *probes, size_t probed)
{
    *run = (struct bench_run){.probes = probes, .probe_count = probed};
    run->results.rows = rows;
    run->results.row_count = count;
    ck_assert_int_eq(bench_find_crossovers(run), STATUS_OK);
    return run->results.crossover_count ? run->results.crossovers : NULL;
}

START_TEST(crossovers_are_interpolated)
{
    /* Times 2 n and n^2 / 512 meet at n = 1,024: by powers of n, which are lines in log-log. */
    struct bench_row rows[] = {made_up("adamra", 256, 512), made_up("softmax", 256, 128),
                               made_up("adamra", 8192, 16384), made_up("softmax", 8192, 131072)};
    struct bench_run run;
    const struct bench_crossover *found = find(&run, rows, ARRAY_SIZE(rows), NULL, 0);
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(run.results.crossover_count, 1);
    ck_assert_str_eq(found->against, "softmax");
    ck_assert_double_eq_tol(found->n, 1024, 1e-6);
    ck_assert_uint_eq(found->row, 0);
    arena_finish(&run.arena);
}
END_TEST

START_TEST(the_last_crossing_counts)
{
    struct bench_row rows[] = {made_up("adamra", 1, 1),  made_up("softmax", 1, 2),
                               made_up("adamra", 4, 2),  made_up("softmax", 4, 1),
                               made_up("adamra", 16, 1), made_up("softmax", 16, 2)};
    struct bench_run run;
    const struct bench_crossover *found = find(&run, rows, ARRAY_SIZE(rows), NULL, 0);
    ck_assert_ptr_nonnull(found);
    ck_assert_double_eq_tol(found->n, 8, 1e-6);
    arena_finish(&run.arena);
}
END_TEST

START_TEST(a_crossover_may_not_be_reached)
{
    struct bench_row rows[] = {made_up("adamra", 16, 3),  made_up("softmax", 16, 2),
                               made_up("adamra", 64, 9),  made_up("softmax", 64, 8),
                               made_up("adamra", 256, 9), made_up("softmax", 256, 0)};
    struct bench_run run;
    const struct bench_crossover *found = find(&run, rows, ARRAY_SIZE(rows), NULL, 0);
    ck_assert_ptr_nonnull(found);
    ck_assert_double_eq(found->n, 0);
    arena_finish(&run.arena);
}
END_TEST

START_TEST(probes_take_a_crossover_below)
{
    struct bench_row rows[] = {made_up("adamra", 64, 1), made_up("softmax", 64, 2),
                               made_up("adamra", 256, 2), made_up("softmax", 256, 8)};
    struct bench_row probes[] = {made_up("adamra", 16, 2), made_up("softmax", 16, 1)};
    struct bench_run run;
    const struct bench_crossover *found = find(&run, rows, ARRAY_SIZE(rows), NULL, 0);
    ck_assert_double_eq(found->n, 64);
    ck_assert_uint_eq(found->unlisted, 0);
    ck_assert(bench_crossover_below(&run, &rows[0]));
    arena_finish(&run.arena);
    found = find(&run, rows, ARRAY_SIZE(rows), probes, ARRAY_SIZE(probes));
    ck_assert_double_eq_tol(found->n, 32, 1e-6);
    ck_assert_uint_eq(found->unlisted, 16);
    ck_assert(!bench_crossover_below(&run, &probes[0]));
    arena_finish(&run.arena);
}
END_TEST

START_TEST(series_are_not_mixed)
{
    struct bench_row rows[] = {made_up("adamra", 16, 1), made_up("softmax", 16, 2),
                               made_up("adamra", 64, 1), made_up("softmax", 64, 2)};
    struct bench_run run;
    rows[1].d = rows[3].d = 32;
    ck_assert_ptr_null(find(&run, rows, ARRAY_SIZE(rows), NULL, 0));
    arena_finish(&run.arena);
}
END_TEST

Suite *bench_suite(void)
{
    Suite *suite = suite_create("bench");
    TCase *lists = tcase_create("lists");
    tcase_add_loop_test(lists, counts_are_read, 0, ARRAY_SIZE(counts));
    tcase_add_test(lists, a_list_holds_64_entries);
    tcase_add_test(lists, rates_are_read);
    tcase_add_test(lists, names_are_read);
    tcase_add_test(lists, products_are_read);
    suite_add_tcase(suite, lists);
    TCase *crossovers = tcase_create("crossovers");
    tcase_add_test(crossovers, crossovers_are_interpolated);
    tcase_add_test(crossovers, the_last_crossing_counts);
    tcase_add_test(crossovers, a_crossover_may_not_be_reached);
    tcase_add_test(crossovers, probes_take_a_crossover_below);
    tcase_add_test(crossovers, series_are_not_mixed);
    suite_add_tcase(suite, crossovers);
    return suite;
}
