#include "program.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TCase *program_case(const char *name, const char *tags)
{
    TCase *tests = tcase_create(name);
    tcase_set_tags(tests, tags);
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, test_folder_setup, test_folder_teardown);
    return tests;
}

const char *program_path(const char *name)
{
    return test_in_folder(name);
}

void program_write(const char *name, const char *text)
{
    FILE *file = fopen(program_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void read_text(const char *name, char *text, size_t size)
{
    FILE *file = fopen(program_path(name), "rb");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static void keep_last_line(const char *text, char *line, size_t size)
{
    size_t end = strlen(text);
    while (end > 0 && text[end - 1] == '\n') {
        end--;
    }
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    snprintf(line, size, "%.*s", (int)(end - start), text + start);
}

const struct outcome *program_run_in(const char *before, const char *arguments)
{
    static struct outcome outcome;
    char command[4096];
    int length = snprintf(command, sizeof(command),
                          "cd '%s' && exec 2>.errors >.output </dev/null; %s '%s' %s", test_folder,
                          before, ADAMRA_PROGRAM, arguments);
    ck_assert_int_lt(length, (int)sizeof(command));
    int state = system(command);
    outcome.code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    read_text(".output", outcome.output, sizeof(outcome.output));
    read_text(".errors", outcome.errors, sizeof(outcome.errors));
    keep_last_line(outcome.errors, outcome.last_error, sizeof(outcome.last_error));
    return &outcome;
}

const struct outcome *program_run(const char *format, ...)
{
    char arguments[2048];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    ck_assert_int_lt(length, (int)sizeof(arguments));
    return program_run_in("", arguments);
}

void program_expect(const struct outcome *outcome, int code, const char *text)
{
    ck_assert_msg(outcome->code == code && strstr(outcome->last_error, text),
                  "exit status %d, '%s'; expected %d and '%s'", outcome->code, outcome->last_error,
                  code, text);
}
