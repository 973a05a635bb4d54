/* bench_compare: what changed between result files.
 *
 * The spread of a row is the distance of its samples' quartiles over their median. Two rows are the
 * same when the slower median is above the faster one by no more than the larger of their spreads.
 * Fewer than three samples have no spread, and nothing is said of their difference.
 * A device is compared with the file's device of the same UUID, else of the same name, else with
 * the first one: files of other devices compare too. */
#include "bench_fields.h"
#include "bench_table.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    const struct bench_row *old, *current;
    double ratio;  /* old / current: above 1 is faster now */
    double spread; /* the larger one of the two rows; negative: not known */
};

enum verdict { FASTER, SLOWER, SAME, UNKNOWN, VERDICTS };

static const char *const verdict_names[VERDICTS] = {"faster", "slower", "same", "unknown"};

/* ---- spread ---- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

#define LEAST_SAMPLES 3 /* that say something of how far they lie apart */

/* Interpolated between the two samples beside it. */
static double quantile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t low = (size_t)place;
    size_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
}

/* Negative where it is not known; false without memory. */
static bool row_spread(const struct bench_row *row, double *out)
{
    *out = -1;
    if (row->sample_count < LEAST_SAMPLES || row->ms_median <= 0) {
        return true;
    }
    double *sorted = malloc(row->sample_count * sizeof(*sorted));
    if (!sorted) {
        errno = ENOMEM;
        return false;
    }
    memcpy(sorted, row->samples_ms, row->sample_count * sizeof(*sorted));
    qsort(sorted, row->sample_count, sizeof(*sorted), compare_doubles);
    *out = (quantile(sorted, row->sample_count, 0.75) - quantile(sorted, row->sample_count, 0.25)) /
           row->ms_median;
    free(sorted);
    return true;
}

static enum verdict judge(const struct pair *pair)
{
    if (pair->spread < 0) {
        return UNKNOWN;
    }
    bool same = fmax(pair->ratio, 1 / pair->ratio) - 1 <= pair->spread;
    return same ? SAME : pair->ratio > 1 ? FASTER : SLOWER;
}

/* ---- partners ---- */

static const struct bench_device *find_partner_device(const struct bench_device *device,
                                                      const struct bench_results *other)
{
    for (size_t i = 0; i < other->device_count; i++) {
        if (*device->uuid && !strcmp(other->devices[i].uuid, device->uuid)) {
            return &other->devices[i];
        }
    }
    for (size_t i = 0; i < other->device_count; i++) {
        if (!strcmp(other->devices[i].name, device->name)) {
            return &other->devices[i];
        }
    }
    return other->device_count ? &other->devices[0] : NULL;
}

static bool same_options(const struct bench_row *a, const struct bench_row *b)
{
    bool same = true;
    for (size_t i = 0; i < bench_row_fields.count && same; i++) {
        const struct bench_field *field = &bench_row_fields.items[i];
        same = !field->option || field_equal(field, a, b);
    }
    return same;
}

/* Only rows with figures are partners. */
static const struct bench_row *find_partner(const struct bench_results *current,
                                            const struct bench_row *row,
                                            const struct bench_results *other)
{
    const struct bench_device *own = bench_find_device(current, row->device);
    const struct bench_device *device = own ? find_partner_device(own, other) : NULL;
    for (size_t i = 0; device && row->status == ROW_OK && i < other->row_count; i++) {
        const struct bench_row *old = &other->rows[i];
        if (old->device == device->index && old->status == ROW_OK && same_options(row, old)) {
            return old;
        }
    }
    return NULL;
}

/* ---- output ---- */

struct comparison {
    struct pair *pairs;
    const struct bench_row **rows; /* of the pairs, the current ones */
    size_t count, alone;           /* alone: current rows without a partner */
    uint32_t columns;              /* options that the table shows */
};

static bool find_pairs(const struct bench_results *current, const struct bench_results *other,
                       struct comparison *out)
{
    out->pairs = calloc(current->row_count + 1, sizeof(*out->pairs));
    out->rows = calloc(current->row_count + 1, sizeof(*out->rows));
    if (!out->pairs || !out->rows) {
        errno = ENOMEM;
        return false;
    }
    for (size_t i = 0; i < current->row_count; i++) {
        const struct bench_row *row = &current->rows[i];
        const struct bench_row *old = find_partner(current, row, other);
        double spread, old_spread;
        if (!old || !(old->ms_median > 0) || !(row->ms_median > 0)) {
            out->alone++;
            continue;
        }
        if (!row_spread(row, &spread) || !row_spread(old, &old_spread)) {
            return false;
        }
        out->rows[out->count] = row;
        bool known = spread >= 0 && old_spread >= 0;
        out->pairs[out->count++] = (struct pair){.old = old,
                                                 .current = row,
                                                 .ratio = old->ms_median / row->ms_median,
                                                 .spread = known ? fmax(spread, old_spread) : -1};
    }
    out->columns = option_columns(out->rows, out->count);
    return true;
}

static void add_pair(struct table *table, const struct comparison *comparison,
                     const struct pair *pair, const char *device)
{
    struct short_text space;
    for (size_t i = 0; i < bench_row_fields.count; i++) {
        const struct bench_field *field = &bench_row_fields.items[i];
        if (comparison->columns >> i & 1) {
            table_cell(table, field_used(field, pair->current)
                                  ? field_show(field, pair->current, true, &space)
                                  : "");
        }
    }
    if (device) {
        table_cell(table, device);
    }
    snprintf(space.text, sizeof(space.text), pair->ratio < 1e6 ? "%.3f" : "%.3g", pair->ratio);
    table_cell(table, text_number(pair->old->ms_median).text);
    table_cell(table, text_number(pair->current->ms_median).text);
    table_cell(table, space.text);
    table_cell(table, pair->spread < 0 ? "-" : text_percent(pair->spread).text);
    table_cell(table, verdict_names[judge(pair)]);
}

static bool write_pairs(FILE *file, const struct comparison *comparison,
                        const struct bench_results *current)
{
    static const char *const figures[] = {"old ms", "new ms", "old/new", "spread"};
    struct table table = {0};
    bool several = current->device_count > 1;
    for (size_t i = 0; i < bench_row_fields.count; i++) {
        const struct bench_field *field = &bench_row_fields.items[i];
        if (comparison->columns >> i & 1) {
            table_column(&table, field->name, field->kind == FIELD_COUNT);
        }
    }
    if (several) {
        table_column(&table, "device", false);
    }
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        table_column(&table, figures[i], true);
    }
    table_column(&table, "verdict", false);
    for (size_t i = 0; i < comparison->count; i++) {
        const struct pair *pair = &comparison->pairs[i];
        const struct bench_device *device = bench_find_device(current, pair->current->device);
        add_pair(&table, comparison, pair, several ? device->name : NULL);
    }
    bool written = table_write_md(file, &table);
    table_finish(&table);
    return written;
}

/* "2 faster, 1 slower, 3 same (old/new 1.05 on average); 1 row has no partner" */
static void write_summary(FILE *file, const struct comparison *comparison)
{
    size_t counts[VERDICTS] = {0};
    double logs = 0;
    for (size_t i = 0; i < comparison->count; i++) {
        counts[judge(&comparison->pairs[i])]++;
        logs += log(comparison->pairs[i].ratio);
    }
    fputc('\n', file);
    for (size_t i = 0; i < VERDICTS; i++) {
        if (i != UNKNOWN || counts[i] > 0) {
            fprintf(file, "%s%zu %s", i ? ", " : "", counts[i], verdict_names[i]);
        }
    }
    if (comparison->count > 0) {
        fprintf(file, "; geometric mean of old/new %.3f", exp(logs / (double)comparison->count));
    }
    if (comparison->alone > 0) {
        fprintf(file, "; %zu row%s without a partner", comparison->alone,
                comparison->alone == 1 ? "" : "s");
    }
    fputc('\n', file);
}

static void write_heading(FILE *file, const struct bench_results *current,
                          const struct bench_results *other, const char *name)
{
    fprintf(file, "compared with %s (adamra %s, %s)\n", name, other->version, other->date);
    for (size_t i = 0; i < current->device_count; i++) {
        const struct bench_device *device = &current->devices[i];
        const struct bench_device *partner = find_partner_device(device, other);
        if (partner && strcmp(partner->name, device->name) != 0) {
            fprintf(file, "old is %s, new is %s\n", partner->name, device->name);
        }
    }
    fputc('\n', file);
}

bool bench_compare(FILE *file, const struct bench_results *current,
                   struct bench_results *const *others, const char *const *names, size_t count)
{
    bool written = true;
    for (size_t i = 0; i < count && written; i++) {
        struct comparison comparison = {0};
        fputs(i ? "\n" : "", file);
        write_heading(file, current, others[i], names[i]);
        written =
            find_pairs(current, others[i], &comparison) && write_pairs(file, &comparison, current);
        if (written) {
            write_summary(file, &comparison);
        }
        free(comparison.pairs);
        free(comparison.rows);
    }
    return written && fflush(file) == 0 && !ferror(file);
}
