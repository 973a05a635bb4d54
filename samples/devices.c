/* adamra devices: what Vulkan offers on this machine. */
#include "cli.h"
#include "select.h"
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

struct field {
    const char *name;
    size_t offset, bytes; /* of an unsigned integer in adamra_device_info */
};

#define FIELD(name, member)                                                                        \
    {                                                                                              \
        name, offsetof(adamra_device_info, member), sizeof(((adamra_device_info *)0)->member)      \
    }

static const struct field limits[] = {
    FIELD("max_storage_range", max_storage_range),
    FIELD("max_texel_elements", max_texel_elements),
    FIELD("max_allocation_bytes", max_allocation_bytes),
    FIELD("max_groups_x", max_groups[0]),
    FIELD("max_groups_y", max_groups[1]),
    FIELD("max_groups_z", max_groups[2]),
    FIELD("max_group_invocations", max_group_invocations),
    FIELD("max_shared_bytes", max_shared_bytes),
    FIELD("max_push_bytes", max_push_bytes),
    FIELD("import_alignment", import_alignment),
};

static const struct field features[] = {
    FIELD("subgroup_shuffle", subgroup_shuffle),
    FIELD("texel_buffers", texel_buffers),
    FIELD("storage_16bit", storage_16bit),
    FIELD("float16", float16),
    FIELD("cooperative_matrix", cooperative_matrix),
    FIELD("unified_memory", unified_memory),
    FIELD("timestamps", timestamps),
};

static uint64_t field_value(const adamra_device_info *info, const struct field *field)
{
    const void *at = (const char *)info + field->offset;
    return field->bytes == 8   ? *(const uint64_t *)at
           : field->bytes == 4 ? *(const uint32_t *)at
                               : *(const uint8_t *)at;
}

static void print_block(const adamra_device_info *info)
{
    printf("%" PRIu32 ": %s (%s, %s %s, Vulkan %" PRIu32 ".%" PRIu32 ".%" PRIu32 ")\n", info->index,
           info->name, cli_device_type(info->type), info->driver, info->driver_version,
           info->api_version[0], info->api_version[1], info->api_version[2]);
    printf("    uuid           %s\n", info->uuid);
    printf("    memory         %.2f GiB\n", (double)info->memory_bytes / (1 << 30));
    printf("    subgroup size  %" PRIu32 "\n", info->subgroup_size);
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        printf("    %s%s %" PRIu64 "\n", i ? "               " : "limits         ", limits[i].name,
               field_value(info, &limits[i]));
    }
    printf("    features      ");
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (field_value(info, &features[i])) {
            printf(" %s", features[i].name);
        }
    }
    printf("\n");
}

static json_t *device_json(const adamra_device_info *info)
{
    char version[48];
    snprintf(version, sizeof(version), "%" PRIu32 ".%" PRIu32 ".%" PRIu32, info->api_version[0],
             info->api_version[1], info->api_version[2]);
    json_t *limit_values = json_object();
    json_t *feature_values = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        uint64_t value = size_min(field_value(info, &limits[i]), INT64_MAX);
        json_object_set_new(limit_values, limits[i].name, json_integer((json_int_t)value));
    }
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        json_object_set_new(feature_values, features[i].name,
                            json_boolean(field_value(info, &features[i])));
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:o, s:o}", "index",
                     (int)info->index, "name", info->name, "type", cli_device_type(info->type),
                     "uuid", info->uuid, "driver", info->driver, "driver_version",
                     info->driver_version, "api_version", version, "memory_bytes",
                     (json_int_t)info->memory_bytes, "subgroup_size", (int)info->subgroup_size,
                     "limits", limit_values, "features", feature_values);
}

static status print_json(struct logger *log, const adamra_device_info *infos, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list, device_json(&infos[i]));
    }
    char *text = json_array_size(list) == count ? json_dumps(list, JSON_INDENT(2)) : NULL;
    json_decref(list);
    if (!text) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "devices: no memory for the list as JSON");
    }
    puts(text);
    free(text);
    return STATUS_OK;
}

/* Leaves the one that --device names. What the environment names does not hide the others. */
static status keep_named(struct cli *cli, adamra_device_info *infos, uint32_t *count)
{
    struct gpu_physical *list;
    uint32_t there;
    const char *text = cli->options.device;
    status result = select_list(&cli->log, &list, &there);
    if (result != STATUS_OK) {
        return result;
    }
    const struct gpu_physical *named = gpu_select(list, there, text);
    if (!named) {
        result = gpu_select_fail(&cli->log, list, there, text);
    }
    for (uint32_t i = 0; named && i < *count; i++) {
        if (infos[i].index == named->info.index) {
            infos[0] = infos[i];
        }
    }
    *count = 1;
    free(list);
    return result;
}

status devices_command(struct cli *cli)
{
    uint32_t count = 0;
    adamra_device_info *infos = NULL;
    status result = cli_status(adamra_devices(NULL, &count, cli_log, cli));
    if (result == STATUS_OK && count == 0) {
        result = fail(&cli->log, STATUS_NO_DEVICE,
                      "no Vulkan device; a driver is needed, for example Debian's "
                      "mesa-vulkan-drivers");
    }
    if (result != STATUS_OK) {
        return result;
    }
    infos = calloc(count, sizeof(*infos));
    if (!infos) {
        return fail(&cli->log, STATUS_OUT_OF_HOST_MEMORY, "devices: no memory for %" PRIu32, count);
    }
    uint32_t room = count;
    result = cli_status(adamra_devices(infos, &count, cli_log, cli));
    count = count < room ? count : room;
    if (result == STATUS_OK && (cli->options.given & GIVEN_DEVICE)) {
        result = keep_named(cli, infos, &count);
    }
    if (result == STATUS_OK && cli->options.json) {
        result = print_json(&cli->log, infos, count);
    } else if (result == STATUS_OK) {
        for (uint32_t i = 0; i < count; i++) {
            print_block(&infos[i]);
        }
    }
    free(infos);
    return result;
}
