#include "attn/bigbird_runs.h"
#include <stdlib.h>

#define MOST_WORDS (UINT32_MAX / sizeof(uint32_t)) /* one size_t counts their bytes everywhere */

/* Key blocks [first, end). */
struct interval {
    uint32_t first, end;
};

/* What is at work while the runs are made. */
struct maker {
    const struct bigbird_pattern *pattern;
    uint32_t n, blocks;
    uint32_t *drawn;            /* [blocks]: i + 1 where block i was the last to draw it */
    struct interval *intervals; /* of one query block: global, window, each random one */
    uint64_t space;             /* words allocated in runs */
};

uint32_t bigbird_hash(uint32_t x)
{
    uint32_t state = x * 747796405u + 2891336453u;
    uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
    return (word >> 22) ^ word;
}

static struct interval window_of(const struct maker *maker, uint32_t i)
{
    uint32_t half = maker->pattern->window / 2, after = maker->blocks - 1 - i;
    return (struct interval){i - (uint32_t)size_min(half, i),
                             i + (uint32_t)size_min(half, after) + 1};
}

/* Draws `wanted` blocks that are not seen yet into intervals. */
static void draw(struct maker *maker, uint32_t i, struct interval window, uint32_t wanted,
                 struct interval *out)
{
    uint32_t base = bigbird_hash(bigbird_hash(maker->pattern->seed) ^ i);
    for (uint32_t attempt = 0; wanted > 0; attempt++) {
        uint32_t block = bigbird_hash(base ^ attempt) % maker->blocks;
        if (block < maker->pattern->global_blocks || maker->drawn[block] == i + 1 ||
            (block >= window.first && block < window.end))
            continue;
        maker->drawn[block] = i + 1;
        *out++ = (struct interval){block, block + 1};
        wanted--;
    }
}

/* Fills maker->intervals with what query block i sees, in any order; returns their number. */
static uint32_t choose(struct maker *maker, uint32_t i)
{
    const struct bigbird_pattern *pattern = maker->pattern;
    struct interval all = {0, maker->blocks}, global = {0, pattern->global_blocks};
    maker->intervals[0] = all;
    if (i < pattern->global_blocks)
        return 1;
    /* i lies behind the global blocks: all of them exist. */
    struct interval window = window_of(maker, i);
    uint32_t first = (uint32_t)size_max(window.first, global.end);
    uint32_t left = maker->blocks - global.end - (window.end - first);
    if (pattern->random_blocks >= left)
        return 1;
    maker->intervals[0] = global;
    maker->intervals[1] = window;
    draw(maker, i, window, pattern->random_blocks, maker->intervals + 2);
    return pattern->random_blocks + 2;
}

static int compare_intervals(const void *left, const void *right)
{
    const struct interval *a = left, *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

/* Makes room for a run more. */
static status grow(struct maker *maker, struct bigbird_runs *runs)
{
    if ((uint64_t)runs->count + 2 <= maker->space)
        return STATUS_OK;
    uint64_t space = 2 * maker->space;
    uint32_t *words = space <= MOST_WORDS ? realloc(runs->words, space * sizeof(*words)) : NULL;
    if (!words)
        return STATUS_OUT_OF_HOST_MEMORY;
    runs->words = words;
    maker->space = space;
    return STATUS_OK;
}

/* Appends the runs of intervals, joining those that touch. */
static status append(struct maker *maker, uint32_t count, struct bigbird_runs *runs)
{
    uint32_t n = maker->n, block = maker->pattern->block, begin = runs->count;
    qsort(maker->intervals, count, sizeof(*maker->intervals), compare_intervals);
    for (uint32_t i = 0; i < count; i++) {
        struct interval interval = maker->intervals[i];
        uint32_t first = interval.first * block;
        uint32_t end = (uint32_t)size_min(n, (uint64_t)interval.end * block);
        if (interval.first == interval.end)
            continue;
        if (runs->count > begin && runs->words[runs->count - 1] >= first) {
            uint32_t *last = &runs->words[runs->count - 1];
            *last = (uint32_t)size_max(*last, end);
            continue;
        }
        status result = grow(maker, runs);
        if (result)
            return result;
        runs->words[runs->count++] = first;
        runs->words[runs->count++] = end;
    }
    return STATUS_OK;
}

static status make(struct maker *maker, struct bigbird_runs *runs)
{
    status result = STATUS_OK;
    for (uint32_t i = 0; i < maker->blocks && !result; i++) {
        runs->words[i] = runs->count;
        result = append(maker, choose(maker, i), runs);
    }
    runs->words[maker->blocks] = runs->count;
    return result;
}

status bigbird_runs_init(const struct bigbird_pattern *pattern, uint32_t n,
                         struct bigbird_runs *runs)
{
    uint32_t blocks = (uint32_t)size_div_up(n, pattern->block);
    struct maker maker = {.pattern = pattern, .n = n, .blocks = blocks};
    uint64_t most = 2 + size_min(pattern->random_blocks, blocks);
    status result = STATUS_OUT_OF_HOST_MEMORY;
    maker.space = 3 * (uint64_t)blocks + 1; /* a run each, at first */
    *runs = (struct bigbird_runs){.count = blocks + 1};
    if (maker.space > MOST_WORDS)
        return result;
    maker.drawn = calloc(blocks, sizeof(*maker.drawn));
    maker.intervals = calloc(most, sizeof(*maker.intervals));
    runs->words = calloc(maker.space, sizeof(*runs->words));
    if (maker.drawn && maker.intervals && runs->words)
        result = make(&maker, runs);
    free(maker.drawn);
    free(maker.intervals);
    if (result)
        bigbird_runs_finish(runs);
    return result;
}

void bigbird_runs_finish(struct bigbird_runs *runs)
{
    free(runs->words);
    *runs = (struct bigbird_runs){0};
}
