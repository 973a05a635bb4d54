#include "bench_report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_field *row_field(const char *name)
{
    return field_find(&bench_row_fields, name);
}

/* ---- kinds and machines ---- */

/* The same kind has the same colour on every page. */
static uint32_t kind_color(struct report *report, const char *kind)
{
    static const char *const own[] = {"adamra", "softmax", "linear", "bigbird"};
    size_t i = 0;
    for (; i < ARRAY_SIZE(own); i++) {
        if (!strcmp(own[i], kind)) {
            return (uint32_t)i;
        }
    }
    for (i = 0; i < report->kind_count && strcmp(report->kinds[i], kind) != 0; i++) {
    }
    if (i == report->kind_count && i < ARRAY_SIZE(report->kinds)) {
        report->kinds[report->kind_count++] = kind;
    }
    return (uint32_t)((ARRAY_SIZE(own) + i) % REPORT_COLORS);
}

/* A..Z, AA, AB, ... */
static void name_machine(char *letter, size_t size, size_t i)
{
    const char first = (char)('A' + i / 26 % 26 - 1), last = (char)('A' + i % 26);
    if (i < 26) {
        snprintf(letter, size, "%c", last);
    } else {
        snprintf(letter, size, "%c%c", first, last);
    }
}

static bool add_machines(struct report *report, const struct bench_results *const *results,
                         size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += results[i]->device_count;
    }
    report->machines = arena_alloc(&report->arena, total, sizeof(*report->machines));
    for (size_t i = 0; report->machines && i < count; i++) {
        for (size_t j = 0; j < results[i]->device_count; j++) {
            struct report_machine *machine = &report->machines[report->machine_count];
            *machine =
                (struct report_machine){.results = results[i], .device = &results[i]->devices[j]};
            if (total > 1) {
                name_machine(machine->letter, sizeof(machine->letter), report->machine_count);
            }
            report->machine_count++;
        }
    }
    return report->machines != NULL;
}

static size_t find_machine(const struct report *report, const struct bench_results *results,
                           const struct bench_row *row)
{
    size_t i = 0;
    while (i < report->machine_count && (report->machines[i].results != results ||
                                         report->machines[i].device->index != row->device)) {
        i++;
    }
    return i;
}

/* ---- panels ---- */

static bool equal_options(const struct bench_row *a, const struct bench_row *b,
                          const char *const *names, size_t count, bool named)
{
    bool equal = true;
    for (size_t i = 0; i < bench_row_fields.count && equal; i++) {
        const struct bench_field *field = &bench_row_fields.items[i];
        bool listed = false;
        for (size_t j = 0; j < count; j++) {
            listed |= !strcmp(field->name, names[j]);
        }
        equal = !field->option || listed != named || field_equal(field, a, b);
    }
    return equal;
}

static const char *const line_options[] = {"attention", "rates", "kv", "op"};
static const char *const inner_options[] = {"attention", "rates", "kv", "op", "n"};

/* Appends the row to its panel; panels have room for `space` rows each when they are new. */
static bool add_row(struct report *report, const struct bench_row *row, size_t machine,
                    size_t space)
{
    size_t i = 0;
    while (i < report->panel_count && !equal_options(report->panels[i].rows[0], row, inner_options,
                                                     ARRAY_SIZE(inner_options), false)) {
        i++;
    }
    struct report_panel *panel = &report->panels[i];
    if (i == report->panel_count) {
        panel->rows = arena_alloc(&report->arena, space, sizeof(*panel->rows));
        panel->machines = arena_alloc(&report->arena, space, sizeof(*panel->machines));
        if (!panel->rows || !panel->machines) {
            return false;
        }
        report->panel_count++;
    }
    panel->rows[panel->count] = row;
    panel->machines[panel->count++] = machine;
    return true;
}

static bool add_panels(struct report *report, const struct bench_results *const *results,
                       size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += results[i]->row_count;
    }
    report->panels = arena_alloc(&report->arena, total, sizeof(*report->panels));
    bool added = report->panels != NULL;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; added && j < results[i]->row_count; j++) {
            const struct bench_row *row = &results[i]->rows[j];
            size_t machine = find_machine(report, results[i], row);
            added = machine == report->machine_count || add_row(report, row, machine, total);
        }
    }
    return added;
}

/* ---- lines ---- */

/* Whether a kind was run with several values of an option: its name alone does not say which. */
static bool varies_within_kind(const struct report_panel *panel, const struct bench_row *row,
                               const struct bench_field *option)
{
    const struct bench_field *kind = row_field("attention");
    for (size_t i = 0; i < panel->count; i++) {
        if (field_equal(kind, panel->rows[i], row) && !field_equal(option, panel->rows[i], row)) {
            return true;
        }
    }
    return false;
}

static const char *make_label(struct report *report, const struct report_panel *panel,
                              const struct bench_row *row, size_t machine)
{
    static const char *const tellers[] = {"rates", "kv"};
    char label[512]; /* rates in full: lines may differ in the last of them */
    const char *kind = row->attention ? row->attention : row->op;
    size_t used = (size_t)snprintf(label, sizeof(label), "%.64s", kind ? kind : "");
    for (size_t i = 0; i < ARRAY_SIZE(tellers); i++) {
        const struct bench_field *option = row_field(tellers[i]);
        if (row->attention && varies_within_kind(panel, row, option)) {
            used += (size_t)snprintf(label + used, sizeof(label) - used, " %.384s",
                                     field_text(option, row));
        }
    }
    const char *letter = report->machines[machine].letter;
    snprintf(label + used, sizeof(label) - used, "%s%s", *letter ? " " : "", letter);
    return arena_strdup(&report->arena, label);
}

static bool add_to_line(struct report *report, struct report_panel *panel, size_t i)
{
    const struct bench_row *row = panel->rows[i];
    size_t at = 0;
    while (at < panel->line_count && (panel->lines[at].machine != panel->machines[i] ||
                                      !equal_options(panel->lines[at].rows[0], row, line_options,
                                                     ARRAY_SIZE(line_options), true))) {
        at++;
    }
    struct report_line *line = &panel->lines[at];
    if (at == panel->line_count) {
        const char *kind = row->attention ? row->attention : "adamra";
        *line = (struct report_line){
            .rows = arena_alloc(&report->arena, panel->count, sizeof(*line->rows)),
            .machine = panel->machines[i],
            .color = kind_color(report, kind),
            .label = make_label(report, panel, row, panel->machines[i])};
        if (!line->rows || !line->label) {
            return false;
        }
        panel->line_count++;
    }
    size_t place = line->count++;
    for (; place > 0 && line->rows[place - 1]->n > row->n; place--) {
        line->rows[place] = line->rows[place - 1];
    }
    line->rows[place] = row;
    return true;
}

/* Lines of a kind beside each other, in the order in which they came. */
static void sort_lines(struct report_panel *panel)
{
    for (size_t i = 1; i < panel->line_count; i++) {
        struct report_line line = panel->lines[i];
        size_t place = i;
        for (; place > 0 && panel->lines[place - 1].color > line.color; place--) {
            panel->lines[place] = panel->lines[place - 1];
        }
        panel->lines[place] = line;
    }
    for (size_t i = 1; i < panel->line_count; i++) {
        const struct report_line *before = &panel->lines[i - 1];
        struct report_line *line = &panel->lines[i];
        line->dash = line->color == before->color ? (before->dash + 1) % REPORT_DASHES : 0;
    }
}

static bool add_lines(struct report *report, struct report_panel *panel)
{
    panel->lines = arena_alloc(&report->arena, panel->count, sizeof(*panel->lines));
    for (size_t i = 0; i < panel->count; i++) {
        if (!panel->lines || !add_to_line(report, panel, i)) {
            return false;
        }
    }
    sort_lines(panel);
    return true;
}

/* ---- reports ---- */

status report_init(struct logger *log, const struct bench_results *const *results, size_t count,
                   struct report *report)
{
    *report = (struct report){0};
    bool made = add_machines(report, results, count) && add_panels(report, results, count);
    const struct bench_row **first =
        arena_alloc(&report->arena, report->panel_count, sizeof(*first));
    made = made && first;
    for (size_t i = 0; made && i < report->panel_count; i++) {
        made = add_lines(report, &report->panels[i]);
        first[i] = report->panels[i].rows[0];
    }
    report->varying = made ? options_mask(first, report->panel_count, true) : 0;
    return made ? STATUS_OK : fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a report");
}

void report_finish(struct report *report)
{
    arena_finish(&report->arena);
    *report = (struct report){0};
}

bool report_same_line(const struct report_line *a, const struct report_line *b)
{
    return equal_options(a->rows[0], b->rows[0], line_options, ARRAY_SIZE(line_options), true);
}

bool report_has_row(const struct report_panel *panel, const struct bench_row *row)
{
    for (size_t i = 0; i < panel->count; i++) {
        if (panel->rows[i] == row) {
            return true;
        }
    }
    return false;
}

const struct bench_row *report_row_at(const struct report_line *line, uint64_t n)
{
    for (size_t i = 0; i < line->count; i++) {
        if (line->rows[i]->n == n) {
            return line->rows[i];
        }
    }
    return NULL;
}

size_t report_lengths(const struct report_panel *panel, uint64_t *lengths, size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < panel->count; i++) {
        uint64_t n = panel->rows[i]->n;
        size_t place = 0;
        while (place < used && lengths[place] < n) {
            place++;
        }
        if ((place < used && lengths[place] == n) || used == count) {
            continue;
        }
        memmove(&lengths[place + 1], &lengths[place], (used - place) * sizeof(*lengths));
        lengths[place] = n;
        used++;
    }
    return used;
}

uint64_t report_common_length(const struct report_panel *panel)
{
    uint64_t best = 0;
    size_t best_count = 0;
    for (size_t i = 0; i < panel->count; i++) {
        uint64_t n = panel->rows[i]->n;
        size_t count = 0;
        for (size_t j = 0; j < panel->line_count; j++) {
            const struct bench_row *row = report_row_at(&panel->lines[j], n);
            count += row && row->status == ROW_OK;
        }
        if (count > best_count || (count == best_count && n > best)) {
            best = n;
            best_count = count;
        }
    }
    return best;
}

const char *report_options(const struct report_panel *panel, uint32_t wanted, char *text,
                           size_t size)
{
    const struct bench_row *row = panel->rows[0];
    for (size_t i = 1; i < panel->count && !*row->rates; i++) {
        row = panel->rows[i];
    }
    uint32_t shared = options_mask(panel->rows, panel->count, false);
    return options_text(row, shared & wanted, text, size);
}
