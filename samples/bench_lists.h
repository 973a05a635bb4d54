/* bench_lists: the LISTs of `adamra bench`, read from the text of a flag. */
#ifndef BENCH_LISTS_H
#define BENCH_LISTS_H

#include "adamra.h"
#include "attn/attn.h"

#define LIST_MAX 64 /* entries of a list */

/* Whole numbers, each 1..2^32-1, in the order of the text. */
struct count_list {
    uint32_t items[LIST_MAX];
    uint32_t count;
};

struct kind_list {
    const struct attn_kind *items[LIST_MAX];
    uint32_t count;
};

struct type_list {
    enum element_type items[LIST_MAX];
    uint32_t count;
};

/* One compression rate a head. */
struct rate_set {
    uint32_t items[ADAMRA_MAX_HEADS];
    uint32_t count;
};

struct rate_sets {
    struct rate_set items[LIST_MAX];
    uint32_t count;
};

/* C [m, n] = A [m, k] W [k, n] + bias */
struct product_size {
    uint32_t m, k, n;
};

/* Each returns false for a text that can never be right; *out is then unspecified. */

/* Entries with commas between them: A, A-B (all of them), A-B+STEP or A-B*FACTOR, the last one not
 * over B. */
bool list_counts(const char *text, struct count_list *out);
/* Names of attention kinds with commas between them. */
bool list_kinds(const char *text, struct kind_list *out);
/* "f32,f16" and the like. */
bool list_types(const char *text, struct type_list *out);
/* Sets of rates with slashes between them: "1,2,4,8/1,4,16". */
bool list_rates(const char *text, struct rate_sets *out);
/* "linear:MxKxN" */
bool list_product(const char *text, struct product_size *out);

#endif
