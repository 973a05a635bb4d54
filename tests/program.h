/* program: runs the built command line program, for the suites that test it as a user would. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "support.h"
#include "model/safetensors.h"

struct outcome {
    int code;              /* exit status; -1 when a signal ended it */
    char output[16384];    /* standard output */
    char last_error[2048]; /* the last line of standard error */
    char errors[8192];     /* all of it */
};

/* A case whose tests run in a folder of their own, without a timeout. Tags: "program", or "" for
 * the few that are run on every driver. */
TCase *program_case(const char *name, const char *tags);
/* Runs `adamra ARGUMENTS` by the shell, in that folder and with an empty standard input unless the
 * arguments redirect it. The outcome lives until the next call. */
const struct outcome *program_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with shell words before the program's name, which may set limits or feed it. */
const struct outcome *program_run_in(const char *before, const char *arguments);
/* The path of a file in that folder; storage as test_path's. */
const char *program_path(const char *name);
void program_write(const char *name, const char *text);
/* Fails the test unless the exit status is `code` and the last error line holds `text`. */
void program_expect(const struct outcome *outcome, int code, const char *text);

#endif
