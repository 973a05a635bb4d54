/* Lowers what a device can do: to try on one device how another one would be used. */
#include "gpu/gpu.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longest text of a preset, or list of names in a message. */
#define MAX_TEXT 1024

enum row_kind {
    LOWER_64,  /* a limit of 64 bits */
    LOWER_32,  /* one of 32 bits */
    LOWER_XYZ, /* one for each dimension */
    RAISE_64,  /* an alignment, a power of two: only a larger one is harder */
    FEATURE,   /* 0 switches it off */
    SUBGROUP,  /* the size, on which shuffles rely: another one switches them off */
};

struct row {
    const char *name;
    enum row_kind kind;
    size_t offset;  /* in struct gpu_limits or struct gpu_features */
    uint64_t least; /* Vulkan's own minimum where the engine relies on it */
};

#define LIMIT(kind, name, least)                                                                   \
    {                                                                                              \
#name, kind, offsetof(struct gpu_limits, name), least                                      \
    }
#define FEATURE_ROW(name)                                                                          \
    {                                                                                              \
#name, FEATURE, offsetof(struct gpu_features, name), 0                                     \
    }

static const struct row rows[] = {
    LIMIT(LOWER_64, storage_range, 16),
    LIMIT(LOWER_64, texel_elements, 1),
    LIMIT(LOWER_64, allocation_bytes, 1),
    LIMIT(RAISE_64, buffer_offset, 1),
    LIMIT(RAISE_64, noncoherent_atom, 1),
    LIMIT(LOWER_XYZ, groups, 1),
    LIMIT(LOWER_XYZ, group_size, 128),
    LIMIT(LOWER_32, group_invocations, 128),
    LIMIT(LOWER_32, shared_bytes, 16384),
    LIMIT(LOWER_32, push_bytes, 128),
    LIMIT(LOWER_32, storage_buffers, 4),
    LIMIT(LOWER_32, loop_iterations, 1),
    {"subgroup_size", SUBGROUP, offsetof(struct gpu_features, subgroup_size), 1},
    FEATURE_ROW(subgroup_shuffle),
    FEATURE_ROW(subgroup_quad),
    FEATURE_ROW(texel_f32),
    FEATURE_ROW(texel_f16),
    FEATURE_ROW(float16),
    FEATURE_ROW(unpack_half),
    FEATURE_ROW(pack_half),
    FEATURE_ROW(int64),
    FEATURE_ROW(cooperative_matrix),
    FEATURE_ROW(host_import),
    FEATURE_ROW(budget),
    FEATURE_ROW(unified),
    FEATURE_ROW(timestamps),
};

/* What a device of some kind has at the least; of a device that has less it is left as it is.
 * vulkan-minimum: table "Required Limits" of the Vulkan 1.1 specification, nothing optional.
 * android-baseline-*: VP_ANDROID_baseline_2021 and _2022 of Khronos' Vulkan-Profiles, which are the
 * same here: the second one adds Vulkan 1.1 and VK_KHR_16bit_storage, and no limit. */
#define MINIMUM                                                                                    \
    "storage_range=134217728,texel_elements=65536,allocation_bytes=1073741824,buffer_offset=256,"  \
    "noncoherent_atom=256,groups=65535,group_size=128,group_invocations=128,shared_bytes=16384,"   \
    "push_bytes=128,storage_buffers=4,subgroup_shuffle=0,subgroup_quad=0,"                         \
    "float16=0,int64=0,cooperative_matrix=0,host_import=0,budget=0,timestamps=0"

static const struct {
    const char *name, *text;
} presets[] = {
    {"vulkan-minimum", MINIMUM},
    {"android-baseline-2021", MINIMUM},
    {"android-baseline-2022", MINIMUM},
};

/* Where a text is applied to. */
struct target {
    struct logger *log;
    struct gpu_limits *limits;
    struct gpu_features *features;
    bool clip; /* a value that the device does not reach is no error */
};

/* ---- values ---- */

static void *row_place(const struct target *target, const struct row *row)
{
    void *base = row->kind >= FEATURE ? (void *)target->features : (void *)target->limits;
    return (char *)base + row->offset;
}

static uint64_t get_value(const struct target *target, const struct row *row)
{
    const void *place = row_place(target, row);
    const uint32_t *words = place;
    switch (row->kind) {
    case LOWER_64:
    case RAISE_64:
        return *(const uint64_t *)place;
    case LOWER_XYZ:
        return size_max(size_max(words[0], words[1]), words[2]);
    case FEATURE:
        return *(const bool *)place;
    default:
        return *words;
    }
}

static void set_value(const struct target *target, const struct row *row, uint64_t value)
{
    void *place = row_place(target, row);
    uint32_t *words = place;
    switch (row->kind) {
    case LOWER_64:
    case RAISE_64:
        *(uint64_t *)place = value;
        break;
    case LOWER_XYZ:
        for (uint32_t i = 0; i < 3; i++)
            words[i] = (uint32_t)size_min(words[i], value);
        break;
    case FEATURE:
        *(bool *)place = value != 0;
        break;
    case SUBGROUP:
        if (*words != value)
            target->features->subgroup_shuffle = target->features->subgroup_quad = false;
        target->features->subgroup_least = target->features->subgroup_most = 0;
        *words = (uint32_t)value;
        break;
    default:
        *words = (uint32_t)value;
    }
}

static status apply(const struct target *target, const struct row *row, uint64_t value)
{
    const uint64_t now = get_value(target, row);
    const bool raise = row->kind == RAISE_64;
    const uint64_t low = raise ? now : row->least, high = raise ? UINT64_C(1) << 16 : now;
    if (target->clip && (raise ? value < now : value > now))
        return STATUS_OK;
    if (value < low || value > high)
        return fail(target->log, STATUS_INVALID_ARGUMENT,
                    "limits: %s=%llu; expected %llu to %llu on this device", row->name,
                    (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
    if (raise && (value & (value - 1)))
        return fail(target->log, STATUS_INVALID_ARGUMENT,
                    "limits: %s=%llu; expected a power of two", row->name,
                    (unsigned long long)value);
    set_value(target, row, value);
    return STATUS_OK;
}

/* ---- texts ---- */

static status fail_item(struct logger *log, const char *item, size_t length)
{
    char names[MAX_TEXT] = "";
    for (size_t i = 0; i < ARRAY_SIZE(presets); i++)
        strncat(strncat(names, presets[i].name, 64), ", ", 3);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        strncat(strncat(names, rows[i].name, 64), i + 1 < ARRAY_SIZE(rows) ? "=N, " : "=N", 5);
    return fail(log, STATUS_INVALID_ARGUMENT, "limits: '%.*s'; expected %s",
                (int)size_min(length, 64), item, names);
}

static status apply_row(const struct target *target, const char *item, size_t length)
{
    const char *equals = memchr(item, '=', length);
    const size_t name = equals ? (size_t)(equals - item) : length;
    char *end;
    for (size_t i = 0; equals && i < ARRAY_SIZE(rows); i++) {
        if (strlen(rows[i].name) != name || memcmp(rows[i].name, item, name))
            continue;
        errno = 0;
        uint64_t value = strtoull(equals + 1, &end, 10);
        if (equals[1] < '0' || equals[1] > '9' || end != item + length || errno)
            break;
        return apply(target, &rows[i], value);
    }
    return fail_item(target->log, item, length);
}

/* Applies name=value,... in their order. */
static status apply_rows(const struct target *target, const char *text)
{
    status result = STATUS_OK;
    while (*text && !result) {
        size_t length = strcspn(text, ",");
        result = apply_row(target, text, length);
        text += length + (text[length] == ',');
    }
    return result;
}

status gpu_limits_lower(struct logger *log, const char *text, struct gpu_limits *limits,
                        struct gpu_features *features)
{
    struct target target = {log, limits, features, false};
    status result = STATUS_OK;
    while (*text && !result) {
        const char *preset = NULL;
        size_t length = strcspn(text, ",");
        for (size_t i = 0; i < ARRAY_SIZE(presets); i++)
            if (strlen(presets[i].name) == length && !memcmp(presets[i].name, text, length))
                preset = presets[i].text;
        target.clip = preset;
        result = preset ? apply_rows(&target, preset) : apply_row(&target, text, length);
        text += length + (text[length] == ',');
    }
    return result;
}
