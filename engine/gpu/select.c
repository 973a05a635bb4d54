/* Which of the devices is meant. */
#include "gpu/instance.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* enum gpu_device_type stands in the order of preference. */
static const struct gpu_physical *prefer(const struct gpu_physical *best,
                                         const struct gpu_physical *other)
{
    return best && best->info.type <= other->info.type ? best : other;
}

/* The hexadecimal digits of `text` without dashes, in lower case; false when it is no UUID. */
static bool parse_uuid(const char *text, uint8_t uuid[VK_UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint32_t digits = 0;
    memset(uuid, 0, VK_UUID_SIZE);
    for (; *text; text++) {
        if (*text == '-')
            continue;
        const char *digit = strchr(hex, tolower((unsigned char)*text));
        if (!digit || digits == 2 * VK_UUID_SIZE)
            return false;
        uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    return digits == 2 * VK_UUID_SIZE;
}

#define INDEX_DIGITS 3

/* A number of few digits is an index and nothing else: a device that is not there must not become
 * another one whose name or driver's version has the digits in it. A longer one, as "4090", may be
 * part of a name. */
static bool parse_index(const char *text, uint32_t *index)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > INDEX_DIGITS || text[digits])
        return false;
    *index = 0;
    for (; *text; text++)
        *index = *index * 10 + (uint32_t)(*text - '0');
    return true;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

const struct gpu_physical *gpu_select(const struct gpu_physical *list, uint32_t count,
                                      const char *select)
{
    uint32_t index;
    uint8_t uuid[VK_UUID_SIZE];
    if (select && parse_index(select, &index))
        return index < count ? &list[index] : NULL;
    bool by_uuid = select && parse_uuid(select, uuid);
    const struct gpu_physical *best = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!select || contains(list[i].info.name, select) ||
            (by_uuid && !memcmp(list[i].info.uuid, uuid, VK_UUID_SIZE)))
            best = prefer(best, &list[i]);
    return best;
}

status gpu_select_fail(struct logger *log, const struct gpu_physical *list, uint32_t count,
                       const char *select)
{
    char there[768] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < sizeof(there); i++)
        used += (size_t)snprintf(there + used, sizeof(there) - used, "%s%u: %s", i ? ", " : "",
                                 list[i].info.index, list[i].info.name);
    if (count == 0)
        return fail(
            log, STATUS_NO_DEVICE,
            "no usable Vulkan device%s%s: one with Vulkan 1.1 and a compute queue is needed",
            select ? ", asked for " : "", select ? select : "");
    return fail(log, STATUS_NO_DEVICE, "no Vulkan device matches '%s'; those there are: %s", select,
                there);
}
