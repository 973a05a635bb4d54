/* bench_table: a table of text that is filled row by row and written as markdown, aligned for a
 * terminal too, or as HTML. Without memory it stays incomplete and cannot be written. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "base/base.h"
#include <stdio.h>

#define TABLE_MAX_COLUMNS 48

struct table {
    struct arena arena;
    char *headings[TABLE_MAX_COLUMNS];
    bool numeric[TABLE_MAX_COLUMNS]; /* aligned to the right */
    size_t columns;
    char **cells; /* row by row */
    size_t count, space;
    bool failed;
}; /* {0} is an empty table */

/* Columns are added before the first cell; one over the maximum is a failure. */
void table_column(struct table *table, const char *heading, bool numeric);
/* The next cell of the row; the text is copied. */
void table_cell(struct table *table, const char *text);
/* false and errno on a write error, or when memory was missing. */
bool table_write_md(FILE *file, const struct table *table);
/* The caption may be NULL. */
bool table_write_html(FILE *file, const struct table *table, const char *caption);
void table_finish(struct table *table);

/* Writes text into HTML or SVG: markup escaped, what is not valid there replaced by U+FFFD. */
void html_text(FILE *file, const char *text);

#endif
