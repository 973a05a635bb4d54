/* st_write: what is written reads back; failures leave the old file and nothing else. */
#include "suites.h"
#include "support.h"
#include "model/safetensors.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static void make_folder(void)
{
    test_folder_make(folder, sizeof(folder));
}

static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

/* Files in the folder; removes them when asked to. */
static int count_files(bool remove_them)
{
    int count = 0;
    DIR *directory = opendir(folder);
    ck_assert_ptr_nonnull(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (remove_them)
            ck_assert_int_eq(remove(in_folder(entry->d_name)), 0);
    }
    closedir(directory);
    return count;
}

static void remove_folder(void)
{
    count_files(true);
    ck_assert_int_eq(rmdir(folder), 0);
}

static const float floats[6] = {0, 1, -2.5f, 1e30f, -0.0f, 7};
static const int64_t integer = -5;

static const struct st_tensor written[] = {
    {.name = "x", .type = ST_F32, .dims = 2, .shape = {2, 3}, .data = floats, .bytes = 24},
    {.name = "none", .type = ST_F16, .dims = 3, .shape = {4, 0, 5}},
    {.name = "one \"\xc3\xa9\"", .type = ST_I64, .data = &integer, .bytes = 8},
};

/* Whether files are written as drafts: opened, filled and put in place. */
static bool drafted;

static void use_drafts(void)
{
    make_folder();
    drafted = true;
}

static status write_tensors(const char *path, const struct st_tensor *tensors, uint32_t count,
                            const char *const *metadata, uint32_t metadata_count)
{
    struct st_tensor filled[8];
    struct st_draft draft;
    if (!drafted)
        return st_write(test_logger(), path, tensors, count, metadata, metadata_count);
    ck_assert_uint_le(count, ARRAY_SIZE(filled));
    for (uint32_t i = 0; i < count; i++)
        filled[i] = tensors[i];
    status result =
        st_draft_open(test_logger(), path, filled, count, metadata, metadata_count, &draft);
    if (result)
        return result;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)filled[i].data;
        for (uint64_t at = 0; at < filled[i].bytes; at++)
            ck_assert_uint_eq(bytes[at], 0);
        if (tensors[i].bytes)
            memcpy(bytes, tensors[i].data, tensors[i].bytes);
    }
    return st_draft_commit(&draft);
}

static status write_all(const char *path)
{
    static const char *const metadata[] = {"format", "pt", "\xc3\xa6\n", "\"\\"};
    return write_tensors(path, written, ARRAY_SIZE(written), metadata, 2);
}

static void expect_all(const char *path)
{
    struct st_file file;
    ck_assert_msg(st_open(test_logger(), path, &file) == STATUS_OK, "%s", test_logger()->error);
    ck_assert_uint_eq(file.count, ARRAY_SIZE(written));
    for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
        const struct st_tensor *tensor = st_find(&file, written[i].name);
        ck_assert_ptr_nonnull(tensor);
        ck_assert_int_eq(tensor->type, written[i].type);
        ck_assert_uint_eq(tensor->dims, written[i].dims);
        for (uint32_t d = 0; d < tensor->dims; d++)
            ck_assert_uint_eq(tensor->shape[d], written[i].shape[d]);
        ck_assert_uint_eq(tensor->bytes, written[i].bytes);
        if (tensor->bytes)
            ck_assert_mem_eq(tensor->data, written[i].data, tensor->bytes);
    }
    ck_assert_str_eq(st_metadata(&file, "format"), "pt");
    ck_assert_str_eq(st_metadata(&file, "\xc3\xa6\n"), "\"\\");
    ck_assert_uint_eq((uintptr_t)file.tensors[0].data % 8, 0);
    st_finish(&file);
}

START_TEST(written_files_read_back)
{
    const char *path = in_folder("a.st");
    ck_assert_int_eq(write_all(path), STATUS_OK);
    expect_all(path);
    ck_assert_int_eq(write_tensors(path, NULL, 0, NULL, 0), STATUS_OK);
    struct st_file file;
    ck_assert_int_eq(st_open(test_logger(), path, &file), STATUS_OK);
    ck_assert_uint_eq(file.count, 0);
    st_finish(&file);
    ck_assert_int_eq(count_files(false), 1);
}
END_TEST

/* A relative name has no folder in front. */
START_TEST(relative_names_are_written)
{
    char before[4096];
    ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
    ck_assert_int_eq(chdir(folder), 0);
    status result = write_all("a.st");
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_int_eq(result, STATUS_OK);
    expect_all(in_folder("a.st"));
}
END_TEST

START_TEST(permissions_follow_umask_and_old_file)
{
    const char *path = in_folder("a.st");
    struct stat info;
    mode_t before = umask(027);
    status result = write_all(path);
    umask(before);
    ck_assert_int_eq(result, STATUS_OK);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
    ck_assert_int_eq(chmod(path, 0604), 0);
    ck_assert_int_eq(write_all(path), STATUS_OK);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0604);
}
END_TEST

START_TEST(symbolic_links_stay_and_their_targets_are_replaced)
{
    struct stat info;
    ck_assert_int_eq(write_tensors(in_folder("a.st"), NULL, 0, NULL, 0), STATUS_OK);
    ck_assert_int_eq(symlink("a.st", in_folder("link")), 0);
    ck_assert_int_eq(write_all(in_folder("link")), STATUS_OK);
    ck_assert_int_eq(lstat(in_folder("link"), &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    expect_all(in_folder("a.st"));
    ck_assert_int_eq(count_files(false), 2);
}
END_TEST

/* As a shell's redirection does. */
START_TEST(links_to_nothing_yet_are_followed)
{
    struct stat info;
    ck_assert_int_eq(mkdir(in_folder("sub"), 0700), 0);
    ck_assert_int_eq(symlink("new.st", in_folder("sub/second")), 0);
    ck_assert_int_eq(symlink("sub/second", in_folder("first")), 0);
    ck_assert_int_eq(write_all(in_folder("first")), STATUS_OK);
    ck_assert_int_eq(lstat(in_folder("first"), &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    ck_assert_int_eq(lstat(in_folder("sub/new.st"), &info), 0);
    ck_assert(S_ISREG(info.st_mode));
    expect_all(in_folder("sub/new.st"));
    ck_assert_int_eq(remove(in_folder("sub/second")), 0);
    ck_assert_int_eq(remove(in_folder("sub/new.st")), 0);
    ck_assert_int_eq(remove(in_folder("sub")), 0);
}
END_TEST

/* The temporary file's name is no longer than it must be. */
START_TEST(names_may_be_as_long_as_names_can_be)
{
    char name[256];
    memset(name, 'y', 255);
    name[255] = 0;
    ck_assert_int_eq(write_all(in_folder(name)), STATUS_OK);
    ck_assert_int_eq(write_all(in_folder(name)), STATUS_OK);
    expect_all(in_folder(name));
    ck_assert_int_eq(count_files(false), 1);
}
END_TEST

static const struct {
    const char *path; /* of the folder, where it starts with no slash */
    int error;        /* what the message says */
} failure_rows[] = {
    {"no such folder/a.st", ENOENT},
    {".", EISDIR},
    {"/dev/full", ENOSPC},
    {"", ENOENT},
    {"loop", ELOOP},
    {"link to no folder", ENOENT},
};

START_TEST(failures_are_reported)
{
    const char *path = failure_rows[_i].path, *error = test_logger()->error;
    if (path[0] != '/' && path[0] != '\0')
        path = in_folder(path);
    ck_assert_int_eq(symlink("loop", in_folder("loop")), 0);
    ck_assert_int_eq(symlink("nowhere/a.st", in_folder("link to no folder")), 0);
    ck_assert_int_eq(write_all(path), STATUS_IO);
    ck_assert_msg(strstr(error, strerror(failure_rows[_i].error)), "%s", error);
    ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "no path in: %s", error);
    ck_assert_int_eq(count_files(false), 2);
}
END_TEST

/* A limit on the size of files stands for a full disk. */
START_TEST(the_old_file_stays_when_the_disk_is_full)
{
    enum { BYTES = 1 << 16 };
    const char *path = in_folder("a.st");
    static const uint8_t zeros[BYTES];
    const struct st_tensor big = {
        .name = "big", .type = ST_U8, .dims = 1, .shape = {BYTES}, .data = zeros, .bytes = BYTES};
    struct rlimit before, small;
    ck_assert_int_eq(write_all(path), STATUS_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = BYTES / 2;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    status result = write_tensors(path, &big, 1, NULL, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(result, STATUS_IO);
    ck_assert_ptr_nonnull(strstr(test_logger()->error, strerror(EFBIG)));
    expect_all(path);
    ck_assert_int_eq(count_files(false), 1);
}
END_TEST

/* A file of that name is another writer's: it is neither used nor removed. */
START_TEST(temporary_names_that_are_taken_are_left_alone)
{
    char name[64];
    snprintf(name, sizeof(name), "adamra.tmp%ld-0", (long)getpid());
    FILE *taken = fopen(in_folder(name), "w");
    ck_assert_ptr_nonnull(taken);
    ck_assert_int_eq(fclose(taken), 0);
    ck_assert_int_eq(write_all(in_folder("a.st")), STATUS_OK);
    expect_all(in_folder("a.st"));
    ck_assert_int_eq(access(in_folder(name), F_OK), 0);
    ck_assert_int_eq(count_files(false), 2);
}
END_TEST

START_TEST(devices_and_pipes_are_written_and_read_directly)
{
    int ends[2];
    char path[32];
    struct stat info;
    ck_assert_int_eq(write_all("/dev/null"), STATUS_OK);
    ck_assert_int_eq(stat("/dev/null", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    ck_assert_int_eq(write_all(path), STATUS_OK);
    close(ends[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
    expect_all(path);
    close(ends[0]);
}
END_TEST

/* A draft that is given up leaves the old file, and nothing else. */
START_TEST(discarded_drafts_leave_the_old_file)
{
    const char *path = in_folder("a.st");
    struct st_tensor tensors[ARRAY_SIZE(written)];
    struct st_draft draft;
    memcpy(tensors, written, sizeof(tensors));
    ck_assert_int_eq(write_all(path), STATUS_OK);
    ck_assert_int_eq(
        st_draft_open(test_logger(), path, tensors, ARRAY_SIZE(tensors), NULL, 0, &draft),
        STATUS_OK);
    ck_assert(draft.mapped);
    ck_assert_uint_eq((uintptr_t)tensors[0].data % 8, 0);
    ck_assert_int_eq(count_files(false), 2);
    st_draft_discard(&draft);
    st_draft_discard(&draft); /* {0} by now */
    expect_all(path);
    ck_assert_int_eq(count_files(false), 1);
}
END_TEST

static TCase *files_case(const char *name, void (*setup)(void))
{
    TCase *files = tcase_create(name);
    tcase_add_checked_fixture(files, setup, remove_folder);
    tcase_add_test(files, written_files_read_back);
    tcase_add_test(files, relative_names_are_written);
    tcase_add_test(files, permissions_follow_umask_and_old_file);
    tcase_add_test(files, symbolic_links_stay_and_their_targets_are_replaced);
    tcase_add_test(files, links_to_nothing_yet_are_followed);
    tcase_add_test(files, names_may_be_as_long_as_names_can_be);
    tcase_add_loop_test(files, failures_are_reported, 0, ARRAY_SIZE(failure_rows));
    tcase_add_test(files, the_old_file_stays_when_the_disk_is_full);
    tcase_add_test(files, temporary_names_that_are_taken_are_left_alone);
    tcase_add_test(files, devices_and_pipes_are_written_and_read_directly);
    return files;
}

Suite *st_write_suite(void)
{
    Suite *suite = suite_create("st_write");
    TCase *drafts = files_case("drafts", use_drafts);
    tcase_add_test(drafts, discarded_drafts_leave_the_old_file);
    suite_add_tcase(suite, files_case("files", make_folder));
    suite_add_tcase(suite, drafts);
    return suite;
}
