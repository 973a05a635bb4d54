#include "bench_lists.h"
#include "flags.h"
#include <string.h>

/* ---- numbers ---- */

static bool add_count(struct count_list *out, uint64_t value)
{
    if (out->count == LIST_MAX) {
        return false;
    }
    out->items[out->count++] = (uint32_t)value;
    return true;
}

/* `operation` is how the next entry comes from the last one: '+' or '*', with `operand`. */
static bool add_range(struct count_list *out, uint32_t first, uint32_t last, char operation,
                      uint32_t operand)
{
    if (first > last || (operation == '*' && operand < 2)) {
        return false;
    }
    for (uint64_t value = first; value <= last;
         value = operation == '*' ? value * operand : value + operand) {
        if (!add_count(out, value)) {
            return false;
        }
    }
    return true;
}

static bool read_entry(const char *text, struct count_list *out, const char **end)
{
    uint32_t first, last, operand = 1;
    char operation = '+';
    if (!read_count(text, 1, &first, end)) {
        return false;
    }
    if (**end != '-') {
        return add_count(out, first);
    }
    if (!read_count(*end + 1, 1, &last, end)) {
        return false;
    }
    if (**end == '+' || **end == '*') {
        operation = **end;
        if (!read_count(*end + 1, 1, &operand, end)) {
            return false;
        }
    }
    return add_range(out, first, last, operation, operand);
}

bool list_counts(const char *text, struct count_list *out)
{
    out->count = 0;
    for (;; text++) {
        if (!read_entry(text, out, &text)) {
            return false;
        }
        if (*text != ',') {
            return *text == 0;
        }
    }
}

static bool read_rates(const char *text, struct rate_set *out, const char **end)
{
    out->count = 0;
    for (;; text++) {
        if (out->count == ADAMRA_MAX_HEADS ||
            !read_count(text, 1, &out->items[out->count], &text)) {
            return false;
        }
        out->count++;
        if (*text != ',') {
            *end = text;
            return true;
        }
    }
}

bool list_rates(const char *text, struct rate_sets *out)
{
    out->count = 0;
    for (;; text++) {
        if (out->count == LIST_MAX || !read_rates(text, &out->items[out->count], &text)) {
            return false;
        }
        out->count++;
        if (*text != '/') {
            return *text == 0;
        }
    }
}

bool list_product(const char *text, struct product_size *out)
{
    static const char prefix[] = "linear:";
    uint32_t *sizes[] = {&out->m, &out->k, &out->n};
    if (strncmp(text, prefix, sizeof(prefix) - 1) != 0) {
        return false;
    }
    text += sizeof(prefix) - 1;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++, text++) {
        char expected = i + 1 < ARRAY_SIZE(sizes) ? 'x' : 0;
        if (!read_count(text, 1, sizes[i], &text) || *text != expected) {
            return false;
        }
    }
    return true;
}

/* ---- names ---- */

/* The next name of a list with commas, cut to `size`; false when there is none. */
static bool next_name(const char **text, char *name, size_t size)
{
    size_t length = strcspn(*text, ",");
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(name, *text, length);
    name[length] = 0;
    *text += length;
    return true;
}

bool list_kinds(const char *text, struct kind_list *out)
{
    char name[32];
    out->count = 0;
    for (;; text++) {
        const struct attn_kind *kind =
            next_name(&text, name, sizeof(name)) ? attn_find(name) : NULL;
        if (!kind || out->count == LIST_MAX) {
            return false;
        }
        out->items[out->count++] = kind;
        if (*text == 0) {
            return true;
        }
    }
}

bool list_types(const char *text, struct type_list *out)
{
    char name[8];
    out->count = 0;
    for (;; text++) {
        if (!next_name(&text, name, sizeof(name)) || out->count == LIST_MAX) {
            return false;
        }
        bool half = strcmp(name, "f16") == 0;
        if (!half && strcmp(name, "f32") != 0) {
            return false;
        }
        out->items[out->count++] = half ? ELEMENT_F16 : ELEMENT_F32;
        if (*text == 0) {
            return true;
        }
    }
}
