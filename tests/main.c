/* Runs one suite (-DSUITE=name, for work on one part) or all of them. No forks: suites share a
 * device. CK_RUN_SUITE, CK_RUN_CASE and CK_EXCLUDE_TAGS select, as Check documents; the tag "long"
 * is of what takes minutes, "program" of what starts the program, which compiles its kernels each
 * time, "kernels" of what goes through many kernels and little code of the host's, which sanitizers
 * see nothing new in. */
#include "base/system.h"
#include "suites.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The tests leave the user's cache as it is; what drivers keep there is still found. */
static void use_own_cache(void)
{
    char *folder = system_cache_folder();
    if (folder)
        setenv("MESA_SHADER_CACHE_DIR", folder, 0);
    setenv("XDG_CACHE_HOME", TESTS_CACHE, 1);
    free(folder);
}

/* Whether a suite is of the part that ADAMRA_TEST_PART asks for: "1/2" is the first, third ... */
static bool in_part(unsigned suite)
{
    const char *text = getenv("ADAMRA_TEST_PART");
    unsigned part, parts;
    if (!text || sscanf(text, "%u/%u", &part, &parts) != 2 || part == 0 || part > parts)
        return true;
    return suite % parts + 1 == part;
}

int main(void)
{
    unsigned suite = 0;
    use_own_cache();
    SRunner *runner = srunner_create(NULL);
#define ROW_(name)                                                                                 \
    if (in_part(suite++))                                                                          \
        srunner_add_suite(runner, name##_suite());
#define ROW(name)  ROW_(name)
#ifdef SUITE
    ROW(SUITE)
#else
    SUITES(ROW)
#endif
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
