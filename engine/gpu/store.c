#include "gpu/store.h"
#include "base/file.h"
#include "base/system.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

/* Whatever is there already or cannot be made shows when a file is opened. */
static void make_folders(const char *folder)
{
    char *path = strdup(folder);
    for (size_t i = 1; path && path[i]; i++) {
        char separator = path[i];
        if (!system_is_separator(separator))
            continue;
        path[i] = 0;
        (void)system_make_folder(path);
        path[i] = separator;
    }
    free(path);
    (void)system_make_folder(folder);
}

static int load_file(void *user, const char *key, void *data, size_t *size)
{
    char *path = file_join(user, key);
    bool loaded = path && file_load(path, data, size);
    free(path);
    return loaded;
}

/* Nothing but a file is written to: opening a pipe would wait for a reader. */
static status write_file(const char *path, const void *data, size_t size)
{
    struct file_writer writer;
    enum system_kind kind;
    if (system_kind(path, &kind) == 0 && kind == SYSTEM_OTHER)
        return STATUS_IO;
    status result = file_writer_open(NULL, path, &writer);
    if (result)
        return result;
    result = file_writer_write(&writer, data, size);
    if (!result)
        return file_writer_commit(&writer);
    file_writer_discard(&writer);
    return result;
}

static int save_file(void *user, const char *key, const void *data, size_t size)
{
    char *path = file_join(user, key);
    status result = STATUS_OUT_OF_HOST_MEMORY;
    if (path) {
        make_folders(user);
        result = write_file(path, data, size);
    }
    free(path);
    return result == STATUS_OK;
}

void gpu_store_init(const char *folder, struct gpu_store *store)
{
    *store = (struct gpu_store){0};
    char *base = folder ? NULL : system_cache_folder();
    char *path = folder ? strdup(folder) : base ? file_join(base, "adamra") : NULL;
    free(base);
    if (path && *path)
        *store = (struct gpu_store){.load = load_file, .save = save_file, .user = path};
    else
        free(path);
}

void gpu_store_finish(struct gpu_store *store)
{
    free(store->user);
    *store = (struct gpu_store){0};
}

/* ---- any store ---- */

void *gpu_store_load(const struct gpu_store *store, const char *key, size_t most, size_t *size)
{
    size_t room = 0;
    if (!store->load || !store->load(store->user, key, NULL, &room) || room == 0 || room > most)
        return NULL;
    char *bytes = malloc(room + 1);
    *size = room;
    /* It may have been replaced since, also by less. */
    if (bytes && store->load(store->user, key, bytes, size) && *size > 0 && *size <= room) {
        bytes[*size] = 0;
        return bytes;
    }
    free(bytes);
    return NULL;
}

bool gpu_store_save(const struct gpu_store *store, const char *key, const void *bytes, size_t size)
{
    return store->save && store->save(store->user, key, bytes, size);
}
