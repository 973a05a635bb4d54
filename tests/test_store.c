/* store: files in which things are kept, their seal, and processes that share them. */
#include "gpu/cache.h"
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- files ---- */

START_TEST(what_is_saved_is_loaded)
{
    struct gpu_store store;
    struct stat info;
    size_t size;
    gpu_store_init(test_in_folder("a/b/c"), &store);
    ck_assert_ptr_null(gpu_store_load(&store, "key", 100, &size));
    ck_assert(gpu_store_save(&store, "key", "first", 5));
    ck_assert(gpu_store_save(&store, "key", "second, longer", 14));
    ck_assert(gpu_store_save(&store, "other", "x", 1));
    char *bytes = gpu_store_load(&store, "key", 100, &size);
    ck_assert_uint_eq(size, 14);
    ck_assert_str_eq(bytes, "second, longer");
    free(bytes);
    ck_assert_ptr_null(gpu_store_load(&store, "key", 13, &size));
    ck_assert_int_eq(stat(test_in_folder("a/b/c"), &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0700);
    gpu_store_finish(&store);
    /* Nothing is left beside the two files. */
    char command[640];
    snprintf(command, sizeof(command), "test $(ls -A '%s' | wc -l) = 2", test_in_folder("a/b/c"));
    ck_assert_int_eq(system(command), 0);
    /* A letter like others, here. */
    gpu_store_init(test_in_folder("d\\e/f"), &store);
    ck_assert(gpu_store_save(&store, "key", "x", 1));
    ck_assert_int_eq(stat(test_in_folder("d\\e/f/key"), &info), 0);
    ck_assert_int_ne(stat(test_in_folder("d"), &info), 0);
    gpu_store_finish(&store);
}
END_TEST

/* Opening it to write would wait for one who reads. */
START_TEST(a_pipe_is_no_place)
{
    struct gpu_store store;
    gpu_store_init(test_folder, &store);
    ck_assert_int_eq(mkfifo(test_in_folder("key"), 0600), 0);
    ck_assert(!gpu_store_save(&store, "key", "bytes", 5));
    gpu_store_finish(&store);
}
END_TEST

START_TEST(no_place_is_no_error)
{
    FILE *file = fopen(test_in_folder("file"), "w");
    ck_assert(file && fclose(file) == 0);
    const char *const places[] = {"", test_in_folder("file/below"), "/proc/adamra/cache"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct gpu_store store;
        size_t size;
        gpu_store_init(places[i], &store);
        ck_assert(!gpu_store_save(&store, "key", "bytes", 5));
        ck_assert_ptr_null(gpu_store_load(&store, "key", 100, &size));
        gpu_store_finish(&store);
    }
}
END_TEST

/* What lies under the name may be anything: a folder, or a pipe that nobody writes to. */
START_TEST(only_files_are_read)
{
    struct gpu_store store;
    size_t size;
    gpu_store_init(test_folder, &store);
    ck_assert_int_eq(mkdir(test_in_folder("is_folder"), 0700), 0);
    ck_assert_int_eq(mkfifo(test_in_folder("is_pipe"), 0600), 0);
    ck_assert_int_eq(symlink("nowhere", test_in_folder("is_link")), 0);
    ck_assert_ptr_null(gpu_store_load(&store, "is_folder", 100, &size));
    ck_assert_ptr_null(gpu_store_load(&store, "is_pipe", 100, &size));
    ck_assert_ptr_null(gpu_store_load(&store, "is_link", 100, &size));
    ck_assert(!gpu_store_save(&store, "is_folder", "bytes", 5));
    gpu_store_finish(&store);
}
END_TEST

/* ---- seal ---- */

static struct gpu_cache_identity example_identity(void)
{
    struct gpu_cache_identity identity;
    uint8_t *bytes = (uint8_t *)&identity;
    for (size_t i = 0; i < sizeof(identity); i++)
        bytes[i] = (uint8_t)(31 * i + 7);
    return identity;
}

START_TEST(every_change_is_a_miss)
{
    static const char payload[] = "compiled pipelines, 29 bytes.";
    const struct gpu_cache_identity identity = example_identity();
    size_t size, found;
    uint8_t *bytes = gpu_cache_seal(&identity, payload, sizeof(payload), &size);
    ck_assert_ptr_nonnull(bytes);
    const void *opened = gpu_cache_open(&identity, bytes, size, &found);
    ck_assert(opened && found == sizeof(payload) && memcmp(opened, payload, found) == 0);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!gpu_cache_open(&identity, bytes, size, &found), "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t shorter = 0; shorter < size; shorter++) {
        uint8_t *cut = malloc(shorter + 1); /* its own: reading past it shows */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, shorter);
        ck_assert_msg(!gpu_cache_open(&identity, cut, shorter, &found), "%zu bytes", shorter);
        free(cut);
    }
    uint8_t *longer = calloc(1, size + 1);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, bytes, size);
    ck_assert_ptr_null(gpu_cache_open(&identity, longer, size + 1, &found));
    free(longer);
    free(bytes);
}
END_TEST

/* Another device, driver, or version of the library. */
START_TEST(every_other_identity_is_a_miss)
{
    const struct gpu_cache_identity identity = example_identity();
    size_t size, found;
    uint8_t *bytes = gpu_cache_seal(&identity, "x", 1, &size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < sizeof(identity); i++) {
        struct gpu_cache_identity other = identity;
        ((uint8_t *)&other)[i] ^= 1;
        ck_assert_msg(!gpu_cache_open(&other, bytes, size, &found), "byte %zu", i);
    }
    free(bytes);
    ck_assert_ptr_null(gpu_cache_seal(&identity, "x", GPU_CACHE_MOST, &size));
}
END_TEST

/* ---- processes ---- */

#define PROCESSES 4
#define SAVES     60

/* Saves blocks of one letter, of changing sizes; what it loads is a whole block of some letter, or
 * a miss where it grew between asking for its size and reading it: how often is the scheduler's.
 * Returns the exit status of the process. */
static int save_and_load(const struct gpu_store *store, char letter)
{
    const struct gpu_cache_identity identity = example_identity();
    static char block[5000];
    memset(block, letter, sizeof(block));
    for (uint32_t i = 0; i < SAVES; i++) {
        size_t size, found = 0;
        void *bytes = gpu_cache_seal(&identity, block, 1 + i * 997 % sizeof(block), &size);
        bool saved = bytes && gpu_store_save(store, "shared", bytes, size);
        free(bytes);
        bytes = gpu_store_load(store, "shared", 10000, &size);
        const char *payload = bytes ? gpu_cache_open(&identity, bytes, size, &found) : NULL;
        bool whole = true;
        for (size_t k = 1; payload && whole && k < found; k++)
            whole = payload[k] == payload[0];
        free(bytes);
        if (!saved || !whole)
            return 1;
    }
    return 0;
}

START_TEST(processes_do_not_disturb_each_other)
{
    struct gpu_store store;
    pid_t children[PROCESSES];
    gpu_store_init(test_folder, &store);
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(save_and_load(&store, (char)('a' + i)));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int outcome = -1;
        ck_assert(children[i] > 0 && waitpid(children[i], &outcome, 0) == children[i]);
        ck_assert_int_eq(outcome, 0);
    }
    /* with nobody else there, a block is loaded: the last one that somebody saved */
    const struct gpu_cache_identity identity = example_identity();
    size_t size, found = 0;
    void *bytes = gpu_store_load(&store, "shared", 10000, &size);
    ck_assert(bytes && gpu_cache_open(&identity, bytes, size, &found));
    ck_assert_uint_eq(found, 1 + (SAVES - 1) * 997 % 5000);
    free(bytes);
    gpu_store_finish(&store);
}
END_TEST

Suite *store_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, test_folder_setup, test_folder_teardown);
    tcase_add_test(files, what_is_saved_is_loaded);
    tcase_add_test(files, no_place_is_no_error);
    tcase_add_test(files, a_pipe_is_no_place);
    tcase_add_test(files, only_files_are_read);
    tcase_add_test(files, processes_do_not_disturb_each_other);
    suite_add_tcase(suite, files);
    TCase *seal = tcase_create("seal");
    tcase_add_test(seal, every_change_is_a_miss);
    tcase_add_test(seal, every_other_identity_is_a_miss);
    suite_add_tcase(suite, seal);
    return suite;
}
