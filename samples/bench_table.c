#include "bench_table.h"
#include "bench_text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *keep(struct table *table, const char *text)
{
    char *copy = arena_strdup(&table->arena, text);
    table->failed |= !copy;
    return copy;
}

void table_column(struct table *table, const char *heading, bool numeric)
{
    if (table->columns == TABLE_MAX_COLUMNS) {
        table->failed = true;
        return;
    }
    table->numeric[table->columns] = numeric;
    table->headings[table->columns++] = keep(table, heading);
}

void table_cell(struct table *table, const char *text)
{
    if (table->count == table->space && !table->failed) {
        size_t space = table->space ? table->space * 2 : 64;
        char **cells = realloc(table->cells, space * sizeof(*cells));
        table->failed = !cells;
        table->cells = cells ? cells : table->cells;
        table->space = cells ? space : table->space;
    }
    if (!table->failed) {
        table->cells[table->count++] = keep(table, text);
    }
}

static bool is_written(FILE *file, const struct table *table)
{
    if (table->failed) {
        errno = ENOMEM;
    }
    return !table->failed && !ferror(file);
}

/* ---- markdown ---- */

static size_t count_bars(const char *text)
{
    size_t bars = 0;
    for (; *text; text++) {
        bars += *text == '|';
    }
    return bars;
}

/* A bar in a cell is escaped; a line break ends the row, so it becomes a space. */
static void write_md_cell(FILE *file, const char *text, size_t width, bool right)
{
    size_t columns = text_columns(text) + count_bars(text);
    int padding = width > columns ? (int)(width - columns) : 0;
    fprintf(file, "| %*s", right ? padding : 0, "");
    for (; *text; text++) {
        if (*text == '|') {
            fputc('\\', file);
        }
        fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
    fprintf(file, "%*s ", right ? 0 : padding, "");
}

static void write_md_rule(FILE *file, size_t width, bool right)
{
    fputs("| ", file);
    for (size_t i = 0; i < width; i++) {
        fputc(right && i + 1 == width ? ':' : '-', file);
    }
    fputc(' ', file);
}

bool table_write_md(FILE *file, const struct table *table)
{
    size_t widths[TABLE_MAX_COLUMNS];
    if (table->failed) {
        return is_written(file, table);
    }
    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = size_max(3, text_columns(table->headings[i]));
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t width = text_columns(table->cells[i]) + count_bars(table->cells[i]);
        widths[i % table->columns] = size_max(widths[i % table->columns], width);
    }
    for (size_t i = 0; i < table->columns; i++) {
        write_md_cell(file, table->headings[i], widths[i], table->numeric[i]);
    }
    fputs("|\n", file);
    for (size_t i = 0; i < table->columns; i++) {
        write_md_rule(file, widths[i], table->numeric[i]);
    }
    fputs("|\n", file);
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        write_md_cell(file, table->cells[i], widths[column], table->numeric[column]);
        fputs(column + 1 == table->columns ? "|\n" : "", file);
    }
    return is_written(file, table);
}

/* ---- HTML ---- */

void html_text(FILE *file, const char *text)
{
    while (*text) {
        size_t length = utf8_length(text);
        const char *escaped = *text == '<'    ? "&lt;"
                              : *text == '>'  ? "&gt;"
                              : *text == '&'  ? "&amp;"
                              : *text == '"'  ? "&quot;"
                              : *text == '\'' ? "&#39;"
                                              : NULL;
        bool control = ((unsigned char)*text < ' ' && !strchr("\t\n", *text)) || *text == 0x7f;
        if (escaped) {
            fputs(escaped, file);
        } else if (!length || control) {
            fputs("\xef\xbf\xbd", file);
        } else {
            fwrite(text, 1, length, file);
        }
        text += length ? length : 1;
    }
}

static void write_html_cell(FILE *file, const char *tag, const char *text, bool numeric)
{
    fprintf(file, "<%s%s>", tag, numeric ? " class=\"number\"" : "");
    html_text(file, text);
    fprintf(file, "</%.2s>", tag); /* of "th scope=..." the name */
}

bool table_write_html(FILE *file, const struct table *table, const char *caption)
{
    if (table->failed) {
        return is_written(file, table);
    }
    fputs("<div class=\"scroll\"><table>", file);
    if (caption) {
        fputs("<caption>", file);
        html_text(file, caption);
        fputs("</caption>", file);
    }
    fputs("\n<thead><tr>", file);
    for (size_t i = 0; i < table->columns; i++) {
        write_html_cell(file, "th scope=\"col\"", table->headings[i], table->numeric[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        fputs(column == 0 ? "<tr>" : "", file);
        write_html_cell(file, "td", table->cells[i], table->numeric[column]);
        fputs(column + 1 == table->columns ? "</tr>\n" : "", file);
    }
    fputs("</tbody></table></div>\n", file);
    return is_written(file, table);
}

void table_finish(struct table *table)
{
    arena_finish(&table->arena);
    free(table->cells);
    *table = (struct table){0};
}
