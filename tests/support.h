/* support: what suites share: a device for the whole run, the seed, paths of test data. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "adamra.h"
#include "base/base.h"
#include "suites.h"

/* Of examples that differ by their numbers only, a few do under ASan: kernels are not what it sees,
 * and those with barriers take several times as long. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXAMPLES(usual, few) (few)
#endif
#endif
#ifndef EXAMPLES
#define EXAMPLES(usual, few) (usual)
#endif

/* ADAMRA_TEST_SEED, else a fixed number; printed once. */
uint64_t test_seed(void);
/* TESTS_DIR/name, static storage that lives until the eighth next call of it or test_in_folder. */
const char *test_path(const char *name);
/* Makes a folder of the test's own in TMPDIR, else in the system's folder for such; removes it with
 * all that is in it. */
void test_folder_make(char *path, size_t size);
void test_folder_remove(const char *path);
/* The same as a fixture, which `test_folder` is then; and a path in it (static storage, as
 * test_path). */
extern char test_folder[256];
void test_folder_setup(void);
void test_folder_teardown(void);
const char *test_in_folder(const char *name);
/* Whether ADAMRA_TEST_VALIDATE asks for the validation layer. Then the first device that is opened
 * without it, by test_logger or test_context_params, ends the program with a failure. */
bool test_validated(void);
/* A logger that keeps the last error's text and prints only what the validation layer says. */
struct logger *test_logger(void);
/* For contexts of the public interface, as the environment asks: validation and limits. */
adamra_context_params test_context_params(void);

#endif
