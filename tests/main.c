/* Runs one suite (-DSUITE=name, for work on one part) or all of them. No forks: suites share a
 * device. CK_RUN_SUITE and CK_RUN_CASE select, as Check documents. */
#include "suites.h"
#include <stdlib.h>

int main(void)
{
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
