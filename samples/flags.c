#include "flags.h"
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

bool read_count(const char *text, uint32_t low, uint32_t *out, const char **end)
{
    uint64_t value = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9' && value <= UINT32_MAX; digit++) {
        value = value * 10 + (uint64_t)(*digit - '0');
    }
    *end = digit;
    *out = (uint32_t)value;
    return digit != text && value >= low && value <= UINT32_MAX;
}

bool read_real(const char *text, double *out)
{
    char *end;
    if (text[strspn(text, "0123456789.eE+-")] != 0 || *text == '+' || *text == '-') {
        return false;
    }
    *out = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*out);
}

bool read_bytes(const char *text, uint64_t *out)
{
    static const char units[] = "KMG";
    uint64_t value = 0;
    const char *next = text;
    for (; *next >= '0' && *next <= '9'; next++) {
        if (!size_mul(value, 10, &value) || !size_add(value, (uint64_t)(*next - '0'), &value)) {
            return false;
        }
    }
    if (next == text || value == 0) {
        return false;
    }
    const char *unit = *next ? strchr(units, *next) : NULL;
    if (unit && !size_mul(value, UINT64_C(1) << 10 * (unit - units + 1), &value)) {
        return false;
    }
    *out = value;
    return next[unit != NULL] == 0;
}

bool read_choice(const char *text, const char *const *choices, uint32_t *out)
{
    for (uint32_t i = 0; choices[i]; i++) {
        if (!strcmp(text, choices[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* ---- tables ---- */

#define FLAG_CODE 256 /* getopt_long's value of a table's first flag; above any letter's */

/* getopt_long's description of a table. */
struct getopt_tables {
    struct option flags[FLAGS_MAX + 1];
    char letters[2 * FLAGS_MAX + 2];
    char names[512]; /* "--output --rates ...", for messages */
};

static bool is_listed(const struct flag_table *table, uint32_t i)
{
    return (table->flags[i].commands & table->command) != 0;
}

static void make_tables(const struct flag_table *table, struct getopt_tables *tables)
{
    memset(tables, 0, sizeof(*tables));
    struct option *out = tables->flags;
    char *letter = tables->letters;
    size_t used = 0;
    *letter++ = ':'; /* tell a missing value from an unknown flag */
    for (uint32_t i = 0; i < table->count; i++) {
        const struct flag *flag = &table->flags[i];
        if (!is_listed(table, i)) {
            continue;
        }
        *out++ = (struct option){flag->name, flag->value ? required_argument : no_argument, NULL,
                                 FLAG_CODE + (int)i};
        used += (size_t)snprintf(tables->names + used, sizeof(tables->names) - used, "%s--%s",
                                 used ? " " : "", flag->name);
        if (flag->letter) {
            *letter++ = flag->letter;
            *letter = ':';
            letter += flag->value != NULL;
        }
    }
    *letter = 0;
}

static const struct flag *flag_of_code(const struct flag_table *table, int code)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct flag *flag = &table->flags[i];
        if (code == FLAG_CODE + (int)i ||
            (is_listed(table, i) && flag->letter && code == flag->letter)) {
            return flag;
        }
    }
    return NULL;
}

/* getopt_long refused a flag: says why. */
static status refuse(struct logger *log, const struct flag_table *table, int code,
                     char *const *argv, const struct getopt_tables *tables)
{
    const char *command = argv[0];
    const struct flag *flag = flag_of_code(table, optopt);
    if (flag && code == ':') {
        return fail(log, STATUS_INVALID_ARGUMENT, "%s: --%s lacks its value; expected %s", command,
                    flag->name, flag->expected);
    }
    if (flag && optopt >= FLAG_CODE) {
        return fail(log, STATUS_INVALID_ARGUMENT, "%s: --%s takes no value", command, flag->name);
    }
    char letter[3] = {'-', (char)optopt, 0};
    return fail(log, STATUS_INVALID_ARGUMENT, "%s: unsupported flag '%s'; supported: %s", command,
                optopt ? letter : argv[optind - 1], tables->names);
}

status flags_parse(struct logger *log, const struct flag_table *table, int argc, char **argv,
                   struct options *options, int *first)
{
    struct getopt_tables tables;
    make_tables(table, &tables);
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, tables.letters, tables.flags, NULL);
        *first = optind;
        if (code < 0) {
            return STATUS_OK;
        }
        if (code == '?' || code == ':') {
            return refuse(log, table, code, argv, &tables);
        }
        const struct flag *flag = flag_of_code(table, code);
        if (!flag->set(options, optarg)) {
            return fail(log, STATUS_INVALID_ARGUMENT, "%s: --%s '%s'; expected %s", argv[0],
                        flag->name, optarg, flag->expected);
        }
    }
}

void flags_print(FILE *stream, const struct flag_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct flag *flag = &table->flags[i];
        char letter[5] = "", left[48];
        if (!is_listed(table, i)) {
            continue;
        }
        if (flag->letter && flag->letter != 'h') {
            snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        }
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name, flag->value ? " " : "",
                 flag->value ? flag->value : "");
        fprintf(stream, "  %-20s  %s\n", left, flag->help);
    }
}
