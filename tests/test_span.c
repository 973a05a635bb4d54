/* span: the bytes of ranges of rows, against a walk over all rows of a range. */
#include "ops/span.h"
#include "ops/random.h"
#include "suites.h"

enum { BATCH = 3, GROUPS = 2, HEADS = 2, OUTER = BATCH * GROUPS * HEADS, ROWS = 5 };

/* Tight, with gaps, and with groups or heads inside of rows. */
static const struct span_layout layouts[] = {
    {.start = 7, .batch = 60, .group = 30, .head = 15, .row = 3, .width = 3},
    {.start = 0, .batch = 100, .group = 44, .head = 21, .row = 4, .width = 2},
    {.start = 2, .batch = 60, .group = 3, .head = 30, .row = 6, .width = 3},
    {.start = 0, .batch = 60, .group = 6, .head = 3, .row = 12, .width = 3},
    {.start = 5, .batch = 20, .group = 10, .head = 0, .row = 2, .width = 1},
};

static uint64_t row_start(const struct span_layout *layout, uint64_t outer, uint64_t row)
{
    return layout->start + outer / HEADS / GROUPS * layout->batch +
           outer / HEADS % GROUPS * layout->group + outer % HEADS * layout->head +
           row * layout->row;
}

/* The range that holds every row from `first`, counted over all outer indices, to before `end`. */
static void walk(const struct span_layout *layout, uint64_t first, uint64_t end, uint64_t *low,
                 uint64_t *high)
{
    *low = UINT64_MAX, *high = 0;
    for (uint64_t i = first; i < end; i++) {
        uint64_t at = row_start(layout, i / ROWS, i % ROWS);
        *low = size_min(*low, at);
        *high = size_max(*high, at + layout->width);
    }
}

START_TEST(ranges_hold_their_rows)
{
    struct span_layout layout = layouts[_i];
    layout.groups = GROUPS, layout.heads = HEADS;
    for (uint64_t first = 0; first < OUTER * ROWS; first++) {
        for (uint64_t end = first + 1; end <= OUTER * ROWS; end++) {
            uint64_t low, high, begin, finish, last = end - 1;
            walk(&layout, first, end, &low, &high);
            span_rows(&layout, ELEMENT_F16, first / ROWS, last / ROWS, first % ROWS,
                      last % ROWS + 1, ROWS, &begin, &finish);
            ck_assert_uint_le(begin, 8 * low);
            ck_assert_uint_ge(finish, 8 * high);
            if (_i < 2 || first / ROWS == last / ROWS) /* nothing lies between the rows */
                ck_assert(begin == 8 * low && finish == 8 * high);
        }
    }
}
END_TEST

START_TEST(no_rows_are_no_bytes)
{
    struct span_layout layout = layouts[0];
    uint64_t begin = 1, end = 2;
    layout.groups = GROUPS, layout.heads = HEADS;
    span_rows(&layout, ELEMENT_F32, 2, 2, 4, 4, ROWS, &begin, &end);
    ck_assert(begin == end);
}
END_TEST

/* However many stretches a state has, an item of its reduction binds those of one block. */
START_TEST(reductions_keep_to_a_block)
{
    enum { BLOCKS = 3, STRETCHES = 7, QUADS = 70, BYTES = 16 * STRETCHES * QUADS };
    const struct op_call call = {
        .op = &op_reduce,
        .params.reduce = {.blocks = BLOCKS, .stretches = STRETCHES, .quads = QUADS}};
    for (uint32_t c = 0; c < op_reduce.candidate_count; c++) {
        const struct op_dispatch both = {.call = &call, .candidate = &op_reduce.candidates[c]};
        const struct gpu_dispatch dispatch = {.span_data = &both};
        const uint64_t items = op_reduce.items(&call, both.candidate);
        for (uint64_t i = 0; i < items; i++) {
            uint64_t begin, end;
            op_reduce.span(&dispatch, REDUCE_P, i, i + 1, &begin, &end);
            ck_assert(begin == i * BLOCKS / items * BYTES && end == begin + BYTES);
        }
    }
}
END_TEST

Suite *span_suite(void)
{
    Suite *suite = suite_create("span");
    TCase *ranges = tcase_create("ranges");
    tcase_add_loop_test(ranges, ranges_hold_their_rows, 0, ARRAY_SIZE(layouts));
    tcase_add_test(ranges, no_rows_are_no_bytes);
    tcase_add_test(ranges, reductions_keep_to_a_block);
    suite_add_tcase(suite, ranges);
    return suite;
}
