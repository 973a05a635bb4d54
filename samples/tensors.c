#include "tensors.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char axis_letters[] = "BGHnmkv"; /* in the order of enum axis */
static const char *const axis_names[AXIS_COUNT] = {"B", "G", "H", "n", "m", "dk", "dv"};

static enum axis axis_of_letter(char letter)
{
    return letter == 'h' ? AXIS_HEADS : (enum axis)(strchr(axis_letters, letter) - axis_letters);
}

/* "[B = 2, H = 3 or 1, m, dk = 8]": what the letters ask for. */
static const char *expectation(const char *letters, const struct axes *axes, char *text,
                               size_t size)
{
    size_t used = 0;
    for (const char *letter = letters; *letter && used < size; letter++) {
        enum axis axis = axis_of_letter(*letter);
        used += (size_t)snprintf(text + used, size - used, "%s%s", letter == letters ? "[" : ", ",
                                 axis_names[axis]);
        if (axes->known[axis] && used < size) {
            used += (size_t)snprintf(text + used, size - used, " = %" PRIu32 "%s", axes->size[axis],
                                     *letter == 'h' && axes->size[axis] != 1 ? " or 1" : "");
        }
    }
    if (used < size) {
        snprintf(text + used, size - used, "]");
    }
    return text;
}

static bool size_fits(char letter, const struct axes *axes, uint64_t size)
{
    enum axis axis = axis_of_letter(letter);
    if (axes->known[axis]) {
        return size == axes->size[axis] || (letter == 'h' && size == 1);
    }
    return size <= UINT32_MAX && (size > 0 || axis == AXIS_QUERIES || axis == AXIS_KEYS);
}

static bool shape_fits(const struct st_tensor *tensor, const char *letters, const struct axes *axes)
{
    bool fits = tensor->dims == strlen(letters);
    for (uint32_t i = 0; fits && i < tensor->dims; i++) {
        fits = size_fits(letters[i], axes, tensor->shape[i]);
    }
    return fits;
}

status tensors_find(struct logger *log, const struct st_file *file, const char *name,
                    const char *letters, struct axes *axes, const struct st_tensor **out)
{
    char expected[160], shape[200];
    const struct st_tensor *tensor = *out = st_find(file, name);
    if (!tensor) {
        return fail(log, STATUS_BAD_INPUT, "%s: tensor '%s' is missing; expected one of shape %s",
                    file->path, name, expectation(letters, axes, expected, sizeof(expected)));
    }
    if (!shape_fits(tensor, letters, axes)) {
        return fail(log, STATUS_BAD_INPUT,
                    "%s: tensor '%s' has the shape %s; expected %s, each size from %s to 2^32 - 1",
                    file->path, name, st_shape_text(tensor, shape, sizeof(shape)),
                    expectation(letters, axes, expected, sizeof(expected)),
                    strpbrk(letters, "nm") ? "1 (n and m: 0)" : "1");
    }
    for (uint32_t i = 0; i < tensor->dims; i++) {
        enum axis axis = axis_of_letter(letters[i]);
        if (!axes->known[axis]) {
            axes->known[axis] = true;
            axes->size[axis] = (uint32_t)tensor->shape[i];
        }
    }
    return STATUS_OK;
}

status tensors_alloc(struct logger *log, const char *what, uint64_t count, size_t size, void *out)
{
    void *memory = count <= SIZE_MAX / size ? calloc(count ? (size_t)count : 1, size) : NULL;
    memcpy(out, &memory, sizeof(memory));
    return memory ? STATUS_OK
                  : fail(log, STATUS_OUT_OF_HOST_MEMORY,
                         "no memory for %s: %" PRIu64 " numbers of %zu bytes", what, count, size);
}

status tensors_floats(struct logger *log, const struct st_file *file, const char *name,
                      const char *letters, struct axes *axes, struct floats *out)
{
    const struct st_tensor *tensor;
    status result = tensors_find(log, file, name, letters, axes, &tensor);
    if (result != STATUS_OK) {
        return result;
    }
    out->data = st_floats(tensor);
    if (out->data) {
        return STATUS_OK;
    }
    result = tensors_alloc(log, name, tensor->elements, sizeof(*out->owned), &out->owned);
    if (result == STATUS_OK) {
        result = st_read_floats(log, file, tensor, 0, tensor->elements, out->owned);
    }
    out->data = out->owned;
    return result;
}

void tensors_warn_not_finite(struct logger *log, const char *path, const struct st_tensor *tensor,
                             bool half)
{
    const float *numbers = tensor->data;
    uint64_t count = 0;
    for (uint64_t i = 0; i < tensor->elements; i++) {
        count += !(fabsf(numbers[i]) < INFINITY);
    }
    if (count > 0) {
        log_line(log, LOG_WARNING,
                 "%s: tensor '%s': %" PRIu64 " of %" PRIu64 " numbers are not finite%s", path,
                 tensor->name, count, tensor->elements,
                 half ? "; --dtype f32 has a wider range" : "");
    }
}

status tensors_lengths(struct logger *log, const struct st_file *file, const char *name,
                       struct axes *axes, enum axis limit, uint32_t **out)
{
    const struct st_tensor *tensor;
    *out = NULL;
    if (!st_find(file, name)) {
        return STATUS_OK;
    }
    status result = tensors_find(log, file, name, "B", axes, &tensor);
    if (result == STATUS_OK) {
        result = tensors_alloc(log, name, tensor->elements, sizeof(**out), out);
    }
    for (uint64_t b = 0; result == STATUS_OK && b < tensor->elements; b++) {
        int64_t length;
        result = st_read_ints(log, file, tensor, b, 1, &length);
        if (result == STATUS_OK && (length < 0 || length > axes->size[limit])) {
            result = fail(log, STATUS_BAD_INPUT,
                          "%s: tensor '%s': row %" PRIu64 " has the length %" PRId64
                          "; expected 0 to %s = %" PRIu32,
                          file->path, name, b, length, axis_names[limit], axes->size[limit]);
        }
        if (result == STATUS_OK) {
            (*out)[b] = (uint32_t)length;
        }
    }
    return result;
}
