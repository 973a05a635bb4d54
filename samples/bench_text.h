/* bench_text: numbers as people read them, and text of unknown origin made fit to print. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A short text by value: `text_count(n).text` lives until the end of the full expression. */
struct short_text {
    char text[48];
};

struct short_text text_count(uint64_t value); /* 1,234,567 */
struct short_text text_number(double value);  /* three digits: 0.0123, 12.3, 1,230, 1.2e-05 */
struct short_text text_exact(double value);   /* 15 digits, as the result files have them */
struct short_text text_si(double value);      /* 1.23 M, 12.3 k */
struct short_text text_bytes(double value);   /* 1.5 MiB */
struct short_text text_percent(double share); /* 12.3 % */
struct short_text text_length(double tokens); /* an axis' label: 1,024, 16 Ki, 1 Mi */

/* Bytes of the UTF-8 character at `text`; 0 where it is none. */
size_t utf8_length(const char *text);
/* A copy in which U+FFFD stands for every byte that is not UTF-8; NULL without memory. The caller
 * frees it. */
char *utf8_repair(const char *text);
/* Columns that a text takes in a terminal. */
size_t text_columns(const char *text);

#endif
