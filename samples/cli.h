/* cli: what the subcommands of the program `adamra` share.
 *
 * Results go to standard output, everything else to standard error. A subcommand returns a status
 * whose reason has been said, by itself (`fail`) or by the library; main.c turns it into the exit
 * status. */
#ifndef CLI_H
#define CLI_H

#include "bar.h"
#include "options.h"

struct cli {
    struct logger log;
    struct options options;
    adamra_context *context; /* NULL until cli_open_device */
    struct bar bar;          /* of a run that takes long */
    int argc;
    char **argv; /* the program's; argv[1] is the subcommand's name */
    const struct command *command;
};

#define OWN_FLAGS 0 /* command.bit of a subcommand that reads argv itself */

/* One row of the table in main.c. */
struct command {
    const char *name;
    enum command_bit bit;
    uint32_t min_operands, max_operands;
    const char *usage; /* what follows the program's name */
    const char *about;
    status (*run)(struct cli *cli);
};

status attend_command(struct cli *cli);
status bench_command(struct cli *cli);
status classify_command(struct cli *cli);
status devices_command(struct cli *cli);
status run_command(struct cli *cli);
status selftest_command(struct cli *cli);
status tune_command(struct cli *cli);

/* Opens the device of --device and, unless --quiet, says which it is on standard error. */
status cli_open_device(struct cli *cli);
/* Receives the library's messages; user is the struct cli. */
void cli_log(void *user, adamra_log_level level, const char *text);
/* "discrete", "cpu" and the like. */
const char *cli_device_type(adamra_device_type type);
/* Prints how the subcommand is used, and what it does. */
void cli_print_usage(const struct cli *cli);
/* Whether Ctrl-C was pressed: long work stops at the next occasion. */
bool cli_interrupted(void);
/* STATUS_CANCELLED when it was, which is said when the program ends. */
status cli_check_interrupt(void);
/* Around reading input, which may be a pipe that nobody writes to: Ctrl-C ends the program at once
 * then, so nothing may have been written. */
void cli_reading(bool reads);
/* cli_check_interrupt, and from then on Ctrl-C comes too late: for the moment before the result
 * takes the place of a file, so that exit status 130 means that the file is as it was. */
status cli_settle(void);
/* What Ctrl-C calls besides, in a signal handler, and at once when it was pressed before; NULL:
 * nothing. cli_open_device sets it so that a run of the context is cancelled. */
void cli_on_interrupt(void (*cancel)(void *target), void *target);
/* Around a run: shows how far it is when it takes long. */
void cli_progress_begin(struct cli *cli);
void cli_progress_end(struct cli *cli);
/* The library's status codes are the engine's. */
static inline status cli_status(adamra_status code)
{
    return (status)code;
}

#endif
