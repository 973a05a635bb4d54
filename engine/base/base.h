/* base: what every layer uses and what knows nothing of Vulkan: status codes, error reports,
 * checked size arithmetic, an arena, half precision.
 *
 * Errors: a function that can fail returns `status` and has reported the reason, once, through
 * `fail` on the logger that it was given; callers pass the status on and clean up.
 * Threading: a logger and an arena belong to one thread at a time. */
#ifndef BASE_H
#define BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum status {
    STATUS_OK = 0,
    STATUS_INVALID_ARGUMENT, /* the caller broke a documented rule */
    STATUS_BAD_INPUT,        /* the content of a file is malformed or does not fit */
    STATUS_IO,               /* a file cannot be opened, read or written */
    STATUS_OUT_OF_HOST_MEMORY,
    STATUS_OUT_OF_DEVICE_MEMORY, /* also: over a size that the device can hold */
    STATUS_NO_DEVICE,            /* no usable Vulkan device, or none that was named */
    STATUS_DEVICE_LOST,
    STATUS_UNSUPPORTED, /* legal, but not by this build or device */
    STATUS_DRIVER,      /* a Vulkan call failed in another way */
    STATUS_CANCELLED,   /* by the caller */
    STATUS_COUNT
} status;

/* "out of device memory" and the like; never NULL. */
const char *status_text(status code);

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Where messages go. `{0}` is valid and silent; `error` still keeps the last failure's text. */
struct logger {
    void (*write)(void *user, enum log_level level, const char *text); /* may be NULL */
    void *user;
    char error[1024]; /* the last text given to `fail`, one line, no newline at its end */
};

#ifdef __MINGW32__ /* else %zu is not known there */
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(gnu_printf, format_at, first_at)))
#else
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#endif

/* Writes one line (no newline needed). `log` may be NULL: nothing happens. */
void log_line(struct logger *log, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

/* Keeps the text in log->error, logs it at LOG_ERROR, returns `code`. `log` may be NULL. */
status fail(struct logger *log, status code, const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- sizes ---- */

/* False when the exact result does not fit; *out is then unspecified. */
bool size_mul(uint64_t a, uint64_t b, uint64_t *out);
bool size_add(uint64_t a, uint64_t b, uint64_t *out);

static inline uint64_t size_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t size_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ceil(a / b), b > 0 */
static inline uint64_t size_div_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* The smallest multiple of `step` (> 0) that is >= a; the caller has checked that it fits. */
static inline uint64_t size_round_up(uint64_t a, uint64_t step)
{
    return size_div_up(a, step) * step;
}

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* ---- arena: many small allocations, freed together ---- */

struct arena_block;
struct arena {
    struct arena_block *blocks;
}; /* {0} is an empty arena */

/* Zeroed memory, aligned for any type; NULL when the host has none left. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* A copy of `text`, or NULL. */
char *arena_strdup(struct arena *arena, const char *text);
/* Frees all of it; the arena is empty and usable again. */
void arena_finish(struct arena *arena);

/* ---- half precision (IEEE binary16) and bfloat16; round to nearest even ---- */

#define HALF_OVERFLOW 65520.0F /* the least number that rounds to infinity in binary16 */
float half_to_float(uint16_t half);
uint16_t half_from_float(float value);
void half_to_floats(float *out, const uint16_t *in, size_t count);
void half_from_floats(uint16_t *out, const float *in, size_t count);
float bfloat_to_float(uint16_t bits);

#endif
