#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t test_seed(void)
{
    static uint64_t seed;
    if (!seed) {
        const char *text = getenv("ADAMRA_TEST_SEED");
        seed = text ? strtoull(text, NULL, 0) : 20211;
        printf("seed %llu (ADAMRA_TEST_SEED)\n", (unsigned long long)seed);
    }
    return seed;
}

/* Static storage, until the eighth next call. */
static const char *path_in(const char *folder, const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

const char *test_path(const char *name)
{
    return path_in(TESTS_DIR, name);
}

void test_folder_make(char *path, size_t size)
{
    const char *parent = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/adamra-test-XXXXXX", parent ? parent : P_tmpdir);
    ck_assert(length > 0 && (size_t)length < size);
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void test_folder_remove(const char *path)
{
    char command[1100];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    ck_assert_int_eq(system(command), 0);
}

char test_folder[256];

void test_folder_setup(void)
{
    test_folder_make(test_folder, sizeof(test_folder));
}

void test_folder_teardown(void)
{
    test_folder_remove(test_folder);
}

const char *test_in_folder(const char *name)
{
    return path_in(test_folder, name);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && strcmp(value, "1") == 0;
}

bool test_validated(void)
{
    return is_set("ADAMRA_TEST_VALIDATE");
}

/* Failures are expected by tests and kept in logger.error; what validation says never is. Nor is
 * its silence where it was asked for: without the layer all tests would pass, and show nothing. */
static void print_validation(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level == LOG_WARNING && test_validated() && strstr(text, "not validating")) {
        fprintf(stderr, "FAILED: ADAMRA_TEST_VALIDATE is set, but %s\n", text);
        exit(EXIT_FAILURE);
    }
    if ((level == LOG_ERROR || (level == LOG_WARNING && is_set("ADAMRA_TEST_WARNINGS"))) &&
        strncmp(text, "validation:", 11) == 0)
        fprintf(stderr, "%s\n", text);
}

static void print_line(void *user, adamra_log_level level, const char *text)
{
    print_validation(user, (enum log_level)level, text);
}

adamra_context_params test_context_params(void)
{
    return (adamra_context_params){
        .log = print_line, .validate = test_validated(), .limits = getenv("ADAMRA_LIMITS")};
}

struct logger *test_logger(void)
{
    static struct logger logger = {.write = print_validation};
    return &logger;
}
