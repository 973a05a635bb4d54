/* base: half precision over all values, sizes, arena, parallel work, messages. */
#include "base/parallel.h"
#include "suites.h"
#include "support.h"
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- halves ---- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* By the definition of binary16, in arithmetic. */
static float expected_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31)
        magnitude = fraction ? NAN : INFINITY;
    return (float)(half & 0x8000 ? -magnitude : magnitude);
}

START_TEST(every_half_is_its_float)
{
    for (uint32_t half = 0; half <= UINT16_MAX; half++) {
        float value = half_to_float((uint16_t)half), expected = expected_float((uint16_t)half);
        if (isnan(expected))
            ck_assert_msg(isnan(value), "%04x is %a, not NaN", half, value);
        else
            ck_assert_msg(bits_of(value) == bits_of(expected), "%04x is %a, not %a", half, value,
                          expected);
    }
}
END_TEST

START_TEST(every_half_survives_a_round_trip)
{
    for (uint32_t half = 0; half <= UINT16_MAX; half++) {
        uint32_t quiet = (half & 0x7fff) > 0x7c00 ? 0x200 : 0;
        uint16_t back = half_from_float(half_to_float((uint16_t)half));
        ck_assert_msg(back == (half | quiet), "%04x became %04x", half, back);
    }
}
END_TEST

/* Between neighbours, the midpoint goes to the even one and all else to the nearer one. */
START_TEST(floats_round_to_nearest_even)
{
    for (uint32_t half = 0; half < 0x7c00; half++) {
        double low = half_to_float((uint16_t)half);
        double high = half == 0x7bff ? 65536 : half_to_float((uint16_t)(half + 1));
        float middle = (float)((low + high) / 2);
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            float s = sign ? -1.0f : 1.0f;
            uint32_t even = half & 1 ? half + 1 : half;
            ck_assert_uint_eq(half_from_float(s * middle), even | sign);
            ck_assert_uint_eq(half_from_float(s * nextafterf(middle, 0)), half | sign);
            ck_assert_uint_eq(half_from_float(s * nextafterf(middle, 1e9f)), (half + 1) | sign);
        }
    }
}
END_TEST

static const struct {
    uint32_t value;
    uint16_t half;
} float_rows[] = {
    {0x00000000, 0x0000}, /* zero */
    {0x80000000, 0x8000}, /* its negative */
    {0x00000001, 0x0000}, /* the least subnormal */
    {0x807fffff, 0x8000}, /* the largest one */
    {0x33000000, 0x0000}, /* 2^-25, a tie */
    {0x33000001, 0x0001}, /* just over it */
    {0x477fefff, 0x7bff}, /* just under 65520 */
    {0x477ff000, 0x7c00}, /* 65520, a tie with infinity */
    {0x7f7fffff, 0x7c00}, /* the largest float */
    {0xff800000, 0xfc00}, /* -inf */
    {0x7f800001, 0x7e00}, /* a signalling NaN */
    {0xffc02000, 0xfe01}, /* a quiet NaN with payload */
};

START_TEST(floats_at_the_edges)
{
    ck_assert_msg(half_from_float(float_of(float_rows[_i].value)) == float_rows[_i].half,
                  "%08x became %04x, not %04x", float_rows[_i].value,
                  half_from_float(float_of(float_rows[_i].value)), float_rows[_i].half);
}
END_TEST

START_TEST(bulk_conversion_has_the_same_bits)
{
    enum { COUNT = 65536 + 7 };
    uint16_t *halves = malloc(COUNT * sizeof(*halves)), *back = malloc(COUNT * sizeof(*back));
    float *floats = malloc(COUNT * sizeof(*floats));
    ck_assert(halves && back && floats);
    for (uint32_t i = 0; i < COUNT; i++)
        halves[i] = (uint16_t)(i * 40503u);
    half_to_floats(floats, halves, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        ck_assert_uint_eq(bits_of(floats[i]), bits_of(half_to_float(halves[i])));
    uint32_t bits = (uint32_t)test_seed();
    for (uint32_t i = 0; i < COUNT; i++)
        floats[i] = float_of(bits = bits * 747796405u + 2891336453u);
    half_from_floats(back, floats, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        ck_assert_uint_eq(back[i], half_from_float(floats[i]));
    free(halves);
    free(back);
    free(floats);
}
END_TEST

START_TEST(bfloats_are_the_upper_halves_of_floats)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++)
        ck_assert_uint_eq(bits_of(bfloat_to_float((uint16_t)bits)), bits << 16);
}
END_TEST

/* ---- sizes ---- */

static const struct {
    uint64_t a, b;
    bool product_fits, sum_fits;
} size_rows[] = {
    {0, UINT64_MAX, true, true},
    {UINT64_MAX, 0, true, true},
    {1, UINT64_MAX, true, false},
    {2, UINT64_MAX / 2, true, true},
    {2, UINT64_MAX / 2 + 1, false, true},
    {UINT64_C(1) << 32, UINT64_C(1) << 32, false, true},
    {UINT32_MAX, UINT64_C(1) << 32, true, true},
    {UINT64_MAX, UINT64_MAX, false, false},
};

START_TEST(sizes_that_overflow_are_noticed)
{
    uint64_t a = size_rows[_i].a, b = size_rows[_i].b, out;
    ck_assert_int_eq(size_mul(a, b, &out), size_rows[_i].product_fits);
    ck_assert_int_eq(size_mul(b, a, &out), size_rows[_i].product_fits);
    if (size_rows[_i].product_fits)
        ck_assert_uint_eq(out, a * b);
    ck_assert_int_eq(size_add(a, b, &out), size_rows[_i].sum_fits);
    if (size_rows[_i].sum_fits)
        ck_assert_uint_eq(out, a + b);
}
END_TEST

START_TEST(sizes_round_up)
{
    ck_assert_uint_eq(size_div_up(UINT64_MAX, 2), (UINT64_C(1) << 63));
    ck_assert_uint_eq(size_div_up(0, 3), 0);
    ck_assert_uint_eq(size_round_up(17, 16), 32);
    ck_assert_uint_eq(size_round_up(32, 16), 32);
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_memory_is_zeroed_aligned_and_apart)
{
    struct arena arena = {0};
    unsigned char *blocks[300];
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        size_t size = i * i % 5000; /* small and large ones mixed */
        blocks[i] = arena_alloc(&arena, size, 1);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            ck_assert_uint_eq(blocks[i][k], 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
        for (size_t k = 0; k < i * i % 5000; k++)
            ck_assert_uint_eq(blocks[i][k], i & 255);
    ck_assert_str_eq(arena_strdup(&arena, "a text"), "a text");
    arena_finish(&arena);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1, 1));
    arena_finish(&arena);
}
END_TEST

START_TEST(arena_refuses_what_no_host_has)
{
    struct arena arena = {0};
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 1, 1));
    ck_assert_ptr_null(arena_alloc(&arena, 1, SIZE_MAX - 64));
    ck_assert_ptr_null(arena.blocks);
}
END_TEST

/* ---- messages ---- */

struct seen {
    int count;
    enum log_level level;
    char text[1024];
};

static void see(void *user, enum log_level level, const char *text)
{
    struct seen *seen = user;
    seen->count++;
    seen->level = level;
    snprintf(seen->text, sizeof(seen->text), "%s", text);
}

START_TEST(failures_are_kept_and_logged_once)
{
    struct seen seen = {0};
    struct logger log = {.write = see, .user = &seen};
    ck_assert_int_eq(fail(&log, STATUS_IO, "%s: %d", "a", 7), STATUS_IO);
    ck_assert_str_eq(log.error, "a: 7");
    ck_assert_str_eq(seen.text, "a: 7");
    ck_assert_int_eq(seen.level, LOG_ERROR);
    ck_assert_int_eq(fail(&log, STATUS_BAD_INPUT, "b, %s", log.error), STATUS_BAD_INPUT);
    ck_assert_str_eq(log.error, "b, a: 7");
    log_line(&log, LOG_INFO, "note");
    ck_assert_str_eq(seen.text, "note");
    ck_assert_str_eq(log.error, "b, a: 7");
    ck_assert_int_eq(seen.count, 3);
}
END_TEST

START_TEST(messages_are_one_line_of_bounded_length)
{
    struct logger log = {0};
    char text[3000];
    fail(&log, STATUS_IO, "a\nb\033c\x7f");
    ck_assert_str_eq(log.error, "a?b?c?");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    fail(&log, STATUS_IO, "%s", text);
    ck_assert_uint_eq(strlen(log.error), sizeof(log.error) - 1);
    ck_assert_str_eq(log.error + sizeof(log.error) - 6, "xx...");
    ck_assert_int_eq(fail(NULL, STATUS_IO, "nobody listens"), STATUS_IO);
    log_line(NULL, LOG_INFO, "nobody listens");
}
END_TEST

START_TEST(every_status_has_its_text)
{
    for (int a = -1; a <= STATUS_COUNT; a++) {
        ck_assert_ptr_nonnull(status_text((status)a));
        for (int b = 0; b < a && a < STATUS_COUNT; b++)
            ck_assert_str_ne(status_text((status)a), status_text((status)b));
    }
}
END_TEST

/* ---- parallel ---- */

#define PIECES 1000

static void count_up(void *user, uint32_t index)
{
    atomic_fetch_add((atomic_uint *)user + index, 1);
}

START_TEST(each_piece_is_run_once)
{
    static const uint32_t counts[] = {0, 1, 2, 7, PIECES}, threads[] = {0, 1, 2, PARALLEL_MOST, 99};
    for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
        for (size_t t = 0; t < ARRAY_SIZE(threads); t++) {
            atomic_uint runs[PIECES + 1] = {0};
            parallel_run(counts[c], threads[t], count_up, runs);
            for (uint32_t i = 0; i <= PIECES; i++)
                ck_assert_uint_eq(atomic_load(&runs[i]), i < counts[c]);
        }
    ck_assert_uint_ge(parallel_processors(), 1);
}
END_TEST

Suite *base_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *half = tcase_create("half");
    tcase_add_test(half, every_half_is_its_float);
    tcase_add_test(half, every_half_survives_a_round_trip);
    tcase_add_test(half, floats_round_to_nearest_even);
    tcase_add_loop_test(half, floats_at_the_edges, 0, ARRAY_SIZE(float_rows));
    tcase_add_test(half, bulk_conversion_has_the_same_bits);
    tcase_add_test(half, bfloats_are_the_upper_halves_of_floats);
    suite_add_tcase(suite, half);
    TCase *size = tcase_create("size");
    tcase_add_loop_test(size, sizes_that_overflow_are_noticed, 0, ARRAY_SIZE(size_rows));
    tcase_add_test(size, sizes_round_up);
    suite_add_tcase(suite, size);
    TCase *arena = tcase_create("arena");
    tcase_add_test(arena, arena_memory_is_zeroed_aligned_and_apart);
    tcase_add_test(arena, arena_refuses_what_no_host_has);
    suite_add_tcase(suite, arena);
    TCase *parallel = tcase_create("parallel");
    tcase_add_test(parallel, each_piece_is_run_once);
    suite_add_tcase(suite, parallel);
    TCase *log = tcase_create("log");
    tcase_add_test(log, failures_are_kept_and_logged_once);
    tcase_add_test(log, messages_are_one_line_of_bounded_length);
    tcase_add_test(log, every_status_has_its_text);
    suite_add_tcase(suite, log);
    return suite;
}
