/* flags: reads the flags of a subcommand from a table. Of a flag given twice the last one counts.
 */
#ifndef FLAGS_H
#define FLAGS_H

#include "base/base.h"
#include <stdio.h>

struct options;

struct flag {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* what its value is called; NULL: it has none */
    uint32_t commands; /* enum command_bit bits */
    /* False for a text that can never be right; text is NULL where the flag has no value. */
    bool (*set)(struct options *options, const char *text);
    const char *expected; /* which values are right */
    const char *help;
};

#define FLAGS_MAX 64 /* flags of a table */

struct flag_table {
    const struct flag *flags; /* in the order in which --help lists them */
    uint32_t count;
    uint32_t command; /* only flags with this bit count */
};

/* Reads flags from argv; argv[0] is the subcommand's name. Words that are no flags are moved to
 * argv's end; *first is the index of the first of them. STATUS_INVALID_ARGUMENT: an unknown flag or
 * a value that can never be right. */
status flags_parse(struct logger *log, const struct flag_table *table, int argc, char **argv,
                   struct options *options, int *first);
/* Prints a line for each flag of the subcommand. */
void flags_print(FILE *stream, const struct flag_table *table);

/* ---- for set functions: each returns false for a text that is not right ---- */

/* A finite number >= 0 in decimal digits, with a point or an exponent or both. */
bool read_real(const char *text, double *out);
/* Plain decimal digits, low..UINT32_MAX; *end is what follows them. */
bool read_count(const char *text, uint32_t low, uint32_t *out, const char **end);
/* A number of bytes >= 1 with K, M or G after it for 2^10, 2^20 or 2^30 of them. */
bool read_bytes(const char *text, uint64_t *out);
/* The position of `text` in a list that ends with NULL. */
bool read_choice(const char *text, const char *const *choices, uint32_t *out);

#endif
