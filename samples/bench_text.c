#include "bench_text.h"
#include "base/base.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

struct short_text text_count(uint64_t value)
{
    char digits[24];
    struct short_text out;
    size_t length = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out.text[used++] = ',';
        }
        out.text[used++] = digits[i];
    }
    out.text[used] = 0;
    return out;
}

struct short_text text_number(double value)
{
    struct short_text out = {"0"};
    double size = fabs(value);
    if (!isfinite(value) || (size > 0 && size < 0.001) || size >= 1e15) {
        snprintf(out.text, sizeof(out.text), "%.2g", value);
    } else if (size >= 999.5) {
        out = text_count((uint64_t)(size + 0.5));
        if (value < 0) {
            memmove(out.text + 1, out.text, strlen(out.text) + 1);
            out.text[0] = '-';
        }
    } else if (size > 0) {
        /* 9.995 and above has one digit more in front of the point after rounding */
        int digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
        digits += (size < 0.09995) + (size < 0.009995);
        snprintf(out.text, sizeof(out.text), "%.*f", digits, value);
    }
    return out;
}

struct short_text text_exact(double value)
{
    struct short_text out;
    snprintf(out.text, sizeof(out.text), "%.15g", value);
    return out;
}

static struct short_text with_unit(struct short_text number, const char *unit)
{
    size_t used = strlen(number.text);
    strncat(number.text, *unit ? " " : "", sizeof(number.text) - used - 1);
    strncat(number.text, unit, sizeof(number.text) - used - 2);
    return number;
}

struct unit {
    double size;
    const char *name;
};

/* The value in the largest unit that it reaches; units ascend. */
static struct short_text in_units(double value, const struct unit *units, size_t count)
{
    size_t unit = 0;
    while (unit + 1 < count && value >= units[unit + 1].size * 0.9995) {
        unit++;
    }
    return with_unit(text_number(value / units[unit].size), units[unit].name);
}

struct short_text text_si(double value)
{
    static const struct unit units[] = {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}};
    return in_units(value, units, ARRAY_SIZE(units));
}

struct short_text text_bytes(double value)
{
    static const struct unit units[] = {{1, "B"},
                                        {1024, "KiB"},
                                        {1024.0 * 1024, "MiB"},
                                        {1024.0 * 1024 * 1024, "GiB"},
                                        {1024.0 * 1024 * 1024 * 1024, "TiB"}};
    return in_units(value, units, ARRAY_SIZE(units));
}

struct short_text text_percent(double share)
{
    return with_unit(text_number(share * 100), "%");
}

struct short_text text_length(double tokens)
{
    uint64_t count = tokens > 0 && tokens < 1e18 ? (uint64_t)(tokens + 0.5) : 0;
    const uint64_t ki = 1024, mi = ki * ki;
    bool in_mi = count >= mi && count % mi == 0;
    if (count < 16 * ki || count % ki) {
        return text_count(count);
    }
    return with_unit(text_count(count / (in_mi ? mi : ki)), in_mi ? "Mi" : "Ki");
}

/* ---- text ---- */

size_t utf8_length(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    /* what the first byte may be, and the second, which rules out overlong forms and surrogates */
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (byte[0] < forms[i].first || byte[0] > forms[i].last) {
            continue;
        }
        size_t length = forms[i].length;
        bool valid = length == 1 || (byte[1] >= forms[i].low && byte[1] <= forms[i].high);
        for (size_t at = 2; valid && at < length; at++) {
            valid = byte[at] >= 0x80 && byte[at] <= 0xbf;
        }
        return valid ? length : 0;
    }
    return 0;
}

char *utf8_repair(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *copy = malloc(strlen(text) * (sizeof(replacement) - 1) + 1);
    char *out = copy;
    while (copy && *text) {
        size_t length = utf8_length(text);
        memcpy(out, length ? text : replacement, length ? length : sizeof(replacement) - 1);
        out += length ? length : sizeof(replacement) - 1;
        text += length ? length : 1;
    }
    if (copy) {
        *out = 0;
    }
    return copy;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++) {
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return columns;
}
