/* Runs one suite (-DSUITE=name, for work on one part) or all of them. No forks: suites share a
 * device. CK_RUN_SUITE, CK_RUN_CASE and CK_EXCLUDE_TAGS select, as Check documents; the tag "long"
 * is of what takes minutes, "program" of what starts the program, which compiles its kernels each
 * time. */
#include "base/system.h"
#include "suites.h"
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

int main(void)
{
    use_own_cache();
    SRunner *runner = srunner_create(NULL);
#define ROW_(name) srunner_add_suite(runner, name##_suite());
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
