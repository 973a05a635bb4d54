/* Ctrl-C, whenever it comes: exit status 130 means that the output file is as it was. */
#include "program.h"
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN  "'" TESTS_DIR "/golden/long_row.safetensors'"
#define ENCODER "'" TESTS_DIR "/golden/encoder_soft'"
#define MODEL   "'" SAMPLES_DIR "/models/langid'"
#define CASES   "'" TESTS_DIR "/golden/encoder_soft/cases.safetensors'"

/* What a run leaves in the folder, besides the harness' own files. */
static const char *left_files(void)
{
    return program_run_in("ls -A | grep -v '^\\.[eo][ru]'; :", "")->output;
}

static bool is_old(const char *name)
{
    char text[8];
    FILE *file = fopen(program_path(name), "rb");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return strcmp(text, "old") == 0;
}

/* The program waits for its input when the signal comes, and only then gets it: with attend before
 * it has opened a device, with run after it has loaded the model. */
START_TEST(an_interrupt_before_the_run_counts)
{
    static const struct {
        const char *arguments, *input;
    } rows[] = {
        {"attend in -o out --rates 1,4,32", GOLDEN},
        {"attend in -o out --rates 1,4,32 --verbose", GOLDEN},
        {"run " ENCODER " --tokens in -o out", CASES},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        program_write("out", "old");
        const struct outcome *outcome =
            program_run_in("rm -f in; mkfifo in;", "--version >/dev/null");
        outcome = program_run("%s & pid=$!; exec 3>in; kill -INT $pid; cat %s >&3; exec 3>&-; "
                              "wait $pid",
                              rows[i].arguments, rows[i].input);
        ck_assert_msg(outcome->code == 130, "%s: exit status %d, '%s'", rows[i].arguments,
                      outcome->code, outcome->errors);
        ck_assert_msg(is_old("out"), "%s", rows[i].arguments);
        ck_assert_str_eq(left_files(), "in\nout\n");
    }
}
END_TEST

/* Nothing is ever written to the pipe, which stays open: descriptor 3. */
START_TEST(an_interrupt_ends_a_wait_for_input)
{
    static const char *const rows[] = {
        "attend in -o out --rates 1,4,32",
        "run " ENCODER " --tokens in -o out",
        "classify " MODEL " in",
        "classify " MODEL " --jsonl in",
        "bench --preset none --compare in",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        program_run_in("rm -f in; mkfifo in;", "--version >/dev/null");
        const struct outcome *outcome =
            program_run("%s & pid=$!; exec 3>in; kill -INT $pid; wait $pid", rows[i]);
        ck_assert_msg(outcome->code == 130, "%s: exit status %d, '%s'", rows[i], outcome->code,
                      outcome->errors);
        ck_assert_msg(strstr(outcome->errors, "adamra: interrupted\n") != NULL, "%s: '%s'",
                      rows[i], outcome->errors);
        ck_assert_str_eq(left_files(), "in\n");
    }
}
END_TEST

/* As nohup starts it; without, a hangup ends it. */
START_TEST(a_hangup_that_is_ignored_ends_nothing)
{
    static const char *const traps[] = {"", "trap '' HUP;"};
    struct sigaction own; /* the tests may have been started so themselves */
    sigaction(SIGHUP, NULL, &own);
    for (size_t ignored = own.sa_handler == SIG_IGN; ignored < ARRAY_SIZE(traps); ignored++) {
        char before[64];
        program_write("out", "old");
        snprintf(before, sizeof(before), "rm -f in; mkfifo in; %s", traps[ignored]);
        const struct outcome *outcome = program_run_in(
            before, "attend in -o out --rates 1,4,32 & pid=$!; exec 3>in; kill -HUP $pid; "
                    "cat " GOLDEN " >&3; exec 3>&-; wait $pid");
        ck_assert_msg(outcome->code == (ignored ? 0 : 130), "exit status %d, '%s'", outcome->code,
                      outcome->errors);
        ck_assert(is_old("out") == !ignored);
    }
}
END_TEST

/* Which moment a delay hits depends on the machine; what holds does not. */
START_TEST(at_any_moment_130_leaves_the_file)
{
    static const char *const commands[] = {
        "attend " GOLDEN " -o out --rates 1,4,32 --quiet",
        "run " ENCODER " --tokens " CASES " -o out --quiet",
    };
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        for (int ms = 5; ms < 1000; ms *= 3) {
            char before[96];
            program_write("out", "old");
            snprintf(before, sizeof(before), "timeout --foreground --preserve-status -s INT 0.%03d",
                     ms);
            int code = program_run_in(before, commands[i])->code;
            ck_assert_msg(code == (is_old("out") ? 130 : 0), "%s, after %d ms: exit status %d",
                          commands[i], ms, code);
            ck_assert_str_eq(left_files(), "out\n");
        }
    }
}
END_TEST

/* How much it has measured by then depends on the machine. */
START_TEST(an_interrupt_ends_tune)
{
    const struct outcome *outcome = program_run_in(
        "XDG_CACHE_HOME=\"$PWD\" timeout --foreground --preserve-status -s INT 2",
        "tune --max-seconds 1000");
    ck_assert_int_eq(outcome->code, 130);
    bool says = strstr(outcome->output, "; kept for later runs\n") != NULL;
    glob_t kept;
    int found = glob(program_path("adamra/choices*"), 0, NULL, &kept);
    ck_assert_msg(found == (says ? 0 : GLOB_NOMATCH), "%s", outcome->output);
    globfree(&kept);
}
END_TEST

/* Two of a run's reports: by the second one the first shape has been judged. */
START_TEST(what_tune_measured_is_kept)
{
    const struct outcome *outcome = program_run_in(
        "export XDG_CACHE_HOME=\"$PWD\";",
        "tune --max-seconds 1000 & pid=$!; "
        "until [ $(wc -l <.output) -ge 3 ] || ! kill -0 $pid; do sleep 0.05; done; "
        "kill -INT $pid; wait $pid");
    ck_assert_int_eq(outcome->code, 130);
    ck_assert_msg(strstr(outcome->output, "; kept for later runs\n") != NULL, "%s",
                  outcome->output);
    glob_t kept;
    ck_assert_int_eq(glob(program_path("adamra/choices*"), 0, NULL, &kept), 0);
    globfree(&kept);
}
END_TEST

Suite *cli_interrupt_suite(void)
{
    Suite *suite = suite_create("cli_interrupt");
    TCase *tests = program_case("cli_interrupt", "long");
    tcase_add_test(tests, an_interrupt_before_the_run_counts);
    tcase_add_test(tests, an_interrupt_ends_a_wait_for_input);
    tcase_add_test(tests, a_hangup_that_is_ignored_ends_nothing);
    tcase_add_test(tests, at_any_moment_130_leaves_the_file);
    tcase_add_test(tests, an_interrupt_ends_tune);
    tcase_add_test(tests, what_tune_measured_is_kept);
    suite_add_tcase(suite, tests);
    return suite;
}
