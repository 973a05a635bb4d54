/* From which length on adamra is faster than another kind. */
#include "bench_run.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A length at which both were measured. */
struct point {
    double n, ratio; /* log of adamra's time over the other's */
};

static bool is_adamra(const struct bench_row *row)
{
    return row->attention && strcmp(row->attention, attn_adamra.name) == 0;
}

/* Whether two rows differ in no more than kind, rates and length. */
static bool same_series(const struct bench_row *a, const struct bench_row *b)
{
    return a->device == b->device && a->pass == b->pass && strcmp(a->dtype, b->dtype) == 0 &&
           a->d == b->d && a->batch == b->batch && a->groups == b->groups &&
           a->d_model == b->d_model;
}

static bool same_adamra(const struct bench_row *a, const struct bench_row *b)
{
    return is_adamra(a) && is_adamra(b) && same_series(a, b) && strcmp(a->rates, b->rates) == 0;
}

/* Row i of the listed ones, then of the probes. */
static const struct bench_row *row_at(const struct bench_run *run, size_t i)
{
    size_t listed = run->results.row_count;
    return i < listed ? &run->results.rows[i] : &run->probes[i - listed];
}

static size_t all_rows(const struct bench_run *run)
{
    return run->results.row_count + run->probe_count;
}

static const struct bench_row *find_partner(const struct bench_run *run,
                                            const struct bench_row *adamra, const char *against)
{
    for (size_t i = 0; i < all_rows(run); i++) {
        const struct bench_row *row = row_at(run, i);
        if (row->status == ROW_OK && row->n == adamra->n && same_series(row, adamra) &&
            row->attention && strcmp(row->attention, against) == 0) {
            return row;
        }
    }
    return NULL;
}

static int compare_points(const void *left, const void *right)
{
    const struct point *a = left, *b = right;
    return (a->n > b->n) - (a->n < b->n);
}

/* Points by ascending length; at most all_rows of them. */
static size_t find_points(const struct bench_run *run, const struct bench_row *adamra,
                          const char *against, struct point *points)
{
    size_t count = 0;
    for (size_t i = 0; i < all_rows(run); i++) {
        const struct bench_row *row = row_at(run, i);
        const struct bench_row *other = NULL;
        if (row->status == ROW_OK && same_adamra(row, adamra)) {
            other = find_partner(run, row, against);
        }
        if (other) {
            points[count++] =
                (struct point){(double)row->n, log(row->ms_median / other->ms_median)};
        }
    }
    qsort(points, count, sizeof(*points), compare_points);
    return count;
}

/* The length from which adamra stays faster: where the log of the ratio, as a line between two
 * lengths in log n, is 0. 0 where it is not faster at the longest length; the shortest length where
 * it is faster at all of them. */
static double crossing(const struct point *points, size_t count)
{
    size_t slower = count; /* one behind the last point at which adamra is slower */
    while (slower > 0 && points[slower - 1].ratio <= 0) {
        slower--;
    }
    if (slower == count) {
        return 0;
    }
    if (slower == 0) {
        return points[0].n;
    }
    const struct point *a = &points[slower - 1], *b = &points[slower];
    double share = a->ratio / (a->ratio - b->ratio);
    return exp(log(a->n) + share * (log(b->n) - log(a->n)));
}

static bool is_listed(const struct bench_run *run, double n)
{
    for (size_t i = 0; i < run->results.row_count; i++) {
        if ((double)run->results.rows[i].n == n) {
            return true;
        }
    }
    return false;
}

/* The measured length at a crossing or right below it, if it is not listed; else 0. */
static uint64_t unlisted_length(const struct bench_run *run, const struct point *points,
                                size_t count, double crossing)
{
    size_t below = 0;
    while (below + 1 < count && points[below + 1].n <= crossing) {
        below++;
    }
    double n = points[below].n;
    return crossing > 0 && !is_listed(run, n) ? (uint64_t)n : 0;
}

/* The first listed adamra row of its series. */
static bool opens_series(const struct bench_run *run, size_t index)
{
    const struct bench_row *rows = run->results.rows;
    for (size_t i = 0; i < index; i++) {
        if (same_adamra(&rows[i], &rows[index])) {
            return false;
        }
    }
    return is_adamra(&rows[index]);
}

/* Appends one for every other kind that the series was measured beside. */
static void add_crossovers(struct bench_run *run, size_t index, struct point *points)
{
    const struct bench_row *adamra = &run->results.rows[index];
    for (uint32_t i = 0; i < attn_kind_count; i++) {
        const char *against = attn_kinds[i]->name;
        size_t count =
            strcmp(against, adamra->attention) != 0 ? find_points(run, adamra, against, points) : 0;
        if (count > 1) {
            double n = crossing(points, count);
            run->results.crossovers[run->results.crossover_count++] =
                (struct bench_crossover){.device = adamra->device,
                                         .against = against,
                                         .n = n,
                                         .row = index,
                                         .unlisted = unlisted_length(run, points, count, n)};
        }
    }
}

status bench_find_crossovers(struct bench_run *run)
{
    size_t rows = run->results.row_count;
    struct point *points = calloc(all_rows(run) + 1, sizeof(*points));
    run->results.crossovers =
        arena_alloc(&run->arena, rows * attn_kind_count + 1, sizeof(*run->results.crossovers));
    if (!points || !run->results.crossovers) {
        free(points);
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for crossovers");
    }
    for (size_t i = 0; i < rows; i++) {
        if (opens_series(run, i)) {
            add_crossovers(run, i, points);
        }
    }
    free(points);
    return STATUS_OK;
}

bool bench_crossover_below(const struct bench_run *run, const struct bench_row *like)
{
    for (size_t i = 0; i < all_rows(run); i++) {
        const struct bench_row *row = row_at(run, i);
        bool candidate =
            is_adamra(row) && row->status == ROW_OK && row->n == like->n && same_series(row, like);
        for (uint32_t k = 0; k < attn_kind_count && candidate; k++) {
            const char *against = attn_kinds[k]->name;
            const struct bench_row *other =
                attn_kinds[k] != &attn_adamra ? find_partner(run, row, against) : NULL;
            if (other && row->ms_median <= other->ms_median) {
                return true;
            }
        }
    }
    return false;
}
