/* adamra: the command line program. See `adamra --help` and adamra.1. */
#include "cli.h"
#include "base/system.h"
#include "platform.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)ADAMRA_INVALID_ARGUMENT == (int)STATUS_INVALID_ARGUMENT &&
                   (int)ADAMRA_DRIVER == (int)STATUS_DRIVER,
               "cli_status relies on equal codes");

static const struct command commands[] = {
    {"devices", FOR_DEVICES, 0, 0, "devices [--json]", "Lists the Vulkan devices.",
     devices_command},
    {"attend", FOR_ATTEND, 1, 1, "attend IN.safetensors -o OUT.safetensors [--rates LIST] [FLAGS]",
     "Runs one attention on tensors from a file: q, k, v, router.logits or router.weight (with\n"
     "router.bias), key_lengths, query_lengths. Writes y and, with top1 routing, router.head and\n"
     "router.prob.",
     attend_command},
    {"classify", FOR_CLASSIFY, 1, UINT32_MAX,
     "classify MODEL [FILE...] [--text STRING] [--jsonl FILE] [FLAGS]",
     "Classifies texts with a model folder; FILE - is standard input. Prints name, label and\n"
     "probability of each, separated by tabs.",
     classify_command},
    {"run", FOR_RUN, 1, 1, "run MODEL --tokens IN.safetensors -o OUT.safetensors [FLAGS]",
     "Runs a model folder on token ids: tokens [B, n] and lengths [B] give logits [B, labels].",
     run_command},
    {"selftest", FOR_SELFTEST, 0, 0, "selftest [FLAGS]",
     "Compares every kernel that the device can run with the reference.", selftest_command},
    {"tune", FOR_TUNE, 0, 0, "tune [FLAGS]",
     "Measures which kernels are the fastest on the device, each compared with the reference\n"
     "first, and keeps that for later runs, which use them where they beat the usual ones.",
     tune_command},
    {"bench", OWN_FLAGS, 0, UINT32_MAX, "bench [FLAGS]",
     "Times attention kinds on devices, beside what the devices can do. LIST: 1024,4096 or\n"
     "1024-65536*4 or 64-256+64; all combinations run.",
     bench_command},
};

static const int exit_codes[STATUS_COUNT] = {
    [STATUS_OK] = 0,        [STATUS_INVALID_ARGUMENT] = 2,   [STATUS_BAD_INPUT] = 3,
    [STATUS_IO] = 1,        [STATUS_OUT_OF_HOST_MEMORY] = 1, [STATUS_OUT_OF_DEVICE_MEMORY] = 1,
    [STATUS_NO_DEVICE] = 4, [STATUS_DEVICE_LOST] = 1,        [STATUS_UNSUPPORTED] = 1,
    [STATUS_DRIVER] = 1,    [STATUS_CANCELLED] = 130,
};

#define EXIT_INTERRUPTED 130
#define INTERRUPTED_LINE "adamra: interrupted\n"

/* ---- Ctrl-C ---- */

/* An interrupt is noted while the program listens. Once it has settled, what it writes next takes
 * the place of what was there: an interrupt after that would only make a lie of the exit status. */
enum { LISTENING, INTERRUPTED, SETTLED };
static atomic_int listening = LISTENING;

/* The target is written while there is no function, so that the handler sees both or none. */
static void *cancel_target;
static void (*_Atomic cancel_function)(void *target);
static atomic_int cancelling; /* handlers, which may run on other threads, that may call it */

/* Input may never come. */
static atomic_bool reading;

static void note_interrupt(int signal)
{
    (void)signal;
    int before = LISTENING;
    if (!atomic_compare_exchange_strong(&listening, &before, INTERRUPTED)) {
        return;
    }
    if (atomic_load(&reading)) {
        platform_leave(INTERRUPTED_LINE, EXIT_INTERRUPTED);
    }
    atomic_fetch_add(&cancelling, 1);
    void (*cancel)(void *target) = atomic_load(&cancel_function);
    if (cancel) {
        cancel(cancel_target);
    }
    atomic_fetch_sub(&cancelling, 1);
}

void cli_on_interrupt(void (*cancel)(void *target), void *target)
{
    atomic_store(&cancel_function, NULL);
    while (atomic_load(&cancelling)) { /* with the target of before, which may go now */
    }
    cancel_target = target;
    atomic_store(&cancel_function, cancel);
    /* The handler called nothing when Ctrl-C came before. To cancel twice does no harm. */
    if (cancel && cli_interrupted()) {
        cancel(target);
    }
}

bool cli_interrupted(void)
{
    return atomic_load(&listening) == INTERRUPTED;
}

status cli_check_interrupt(void)
{
    return cli_interrupted() ? STATUS_CANCELLED : STATUS_OK;
}

void cli_reading(bool reads)
{
    atomic_store(&reading, reads);
    if (reads && cli_interrupted()) { /* the handler has run */
        platform_leave(INTERRUPTED_LINE, EXIT_INTERRUPTED);
    }
}

status cli_settle(void)
{
    int before = LISTENING;
    bool settled = atomic_compare_exchange_strong(&listening, &before, SETTLED);
    return settled || before == SETTLED ? STATUS_OK : STATUS_CANCELLED;
}

/* ---- progress ---- */

/* Runs that are shorter show nothing. */
#define LONG_RUN_MS 1000

static int show_progress(void *user, double done)
{
    struct cli *cli = user;
    if (system_clock_ms() - cli->bar.start_ms > LONG_RUN_MS) {
        bar_show(&cli->bar, done, cli->command->name);
    }
    return cli_interrupted();
}

void cli_progress_begin(struct cli *cli)
{
    bar_begin(&cli->bar, cli->options.quiet);
}

void cli_progress_end(struct cli *cli)
{
    bar_end(&cli->bar);
    cli->bar.on = false;
}

/* ---- messages ---- */

static void print_message(void *user, enum log_level level, const char *text)
{
    struct cli *cli = user;
    const struct options *options = &cli->options;
    static const char *const words[] = {"", "warning: ", "", ""};
    /* main says of an interrupt what it was; the library calls it the caller's wish. */
    bool failed =
        level == LOG_ERROR && !(cli_interrupted() && !strcmp(text, "cancelled by the caller"));
    bool wanted = failed || (level == LOG_WARNING && !options->quiet) ||
                  (level == LOG_INFO && options->verbose);
    if (wanted) {
        bar_end(&cli->bar);
        fprintf(stderr, "adamra: %s%s\n", words[level], text);
    }
}

void cli_log(void *user, adamra_log_level level, const char *text)
{
    print_message(user, (enum log_level)level, text);
}

static void print_usage(FILE *stream)
{
    fprintf(stream, "usage: adamra COMMAND [FLAGS], one of\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        fprintf(stream, "  adamra %s\n", commands[i].usage);
    }
    fprintf(stream, "\nadamra COMMAND --help says more, adamra --version the version.\n"
                    "Exit status: 0 done; 1 failed; 2 wrong usage; 3 bad input; 4 no Vulkan "
                    "device; 130 after Ctrl-C.\n");
}

void cli_print_usage(const struct cli *cli)
{
    printf("usage: adamra %s\n\n%s\n\n", cli->command->usage, cli->command->about);
}

/* ---- device ---- */

const char *cli_device_type(adamra_device_type type)
{
    static const char *const words[] = {
        [ADAMRA_DEVICE_DISCRETE] = "discrete", [ADAMRA_DEVICE_INTEGRATED] = "integrated",
        [ADAMRA_DEVICE_VIRTUAL] = "virtual",   [ADAMRA_DEVICE_CPU] = "cpu",
        [ADAMRA_DEVICE_OTHER] = "other",
    };
    return words[type];
}

static void cancel_run(void *context)
{
    adamra_cancel(context);
}

status cli_open_device(struct cli *cli)
{
    const adamra_context_params params = {.device = cli->options.device,
                                          .log = cli_log,
                                          .user = cli,
                                          .progress = show_progress,
                                          .max_device_memory = cli->options.max_device_memory,
                                          .max_submit_ms = cli->options.max_submit_ms,
                                          .no_tune = cli->options.no_tune,
                                          .limits = cli->options.limits};
    adamra_device_info info;
    status result = cli_status(adamra_context_create(&params, &cli->context));
    if (result == STATUS_OK) {
        cli_on_interrupt(cancel_run, cli->context);
        result = cli_status(adamra_context_device(cli->context, &info));
    }
    if (result == STATUS_OK && !cli->options.quiet) {
        fprintf(stderr, "device: %s (%s, %s %s)\n", info.name, cli_device_type(info.type),
                info.driver, info.driver_version);
    }
    return result == STATUS_OK ? cli_check_interrupt() : result;
}

/* ---- main ---- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static status run(struct cli *cli, const struct command *command)
{
    if (command->bit == OWN_FLAGS) {
        return command->run(cli);
    }
    status result =
        options_parse(&cli->log, command->bit, cli->argc - 1, cli->argv + 1, &cli->options);
    uint32_t operands = cli->options.operands.count;
    if (result != STATUS_OK) {
        return result;
    }
    if (cli->options.help) {
        cli_print_usage(cli);
        options_print(stdout, command->bit);
        return STATUS_OK;
    }
    if (operands < command->min_operands || operands > command->max_operands) {
        return fail(
            &cli->log, STATUS_INVALID_ARGUMENT, "%s: %s; expected: adamra %s", command->name,
            operands < command->min_operands ? "a file name is missing" : "too many file names",
            command->usage);
    }
    return command->run(cli);
}

/* A full disk shows when the last buffered bytes are written. */
static status flush_results(struct logger *log)
{
    if (fflush(stdout) || ferror(stdout)) {
        return fail(log, STATUS_IO, "cannot write to standard output: %s", strerror(errno));
    }
    return STATUS_OK;
}

static status refuse_command(struct cli *cli, const char *name)
{
    char names[128] = "";
    for (size_t i = 0, used = 0; i < ARRAY_SIZE(commands) && used < sizeof(names); i++) {
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
                                 commands[i].name);
    }
    return fail(&cli->log, STATUS_INVALID_ARGUMENT, "unknown command '%s'; expected one of %s",
                name, names);
}

static status dispatch(struct cli *cli)
{
    const char *name = cli->argc > 1 ? cli->argv[1] : "";
    cli->command = find_command(name);
    if (cli->command) {
        return run(cli, cli->command);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        print_usage(stdout);
        return STATUS_OK;
    }
    if (!strcmp(name, "--version")) {
        printf("adamra %s\n", adamra_version());
        return STATUS_OK;
    }
    if (*name) {
        return refuse_command(cli, name);
    }
    print_usage(stderr);
    return fail(&cli->log, STATUS_INVALID_ARGUMENT, "no command given");
}

int main(int argc, char **argv)
{
    struct cli cli = {.argc = argc, .argv = platform_start(argc, argv)};
    cli.log = (struct logger){.write = print_message, .user = &cli};
    if (!cli.argv) {
        fail(&cli.log, STATUS_OUT_OF_HOST_MEMORY, "no memory for the arguments");
        return exit_codes[STATUS_OUT_OF_HOST_MEMORY];
    }
    platform_catch_interrupt(note_interrupt);
    status result = dispatch(&cli);
    if (result == STATUS_OK) { /* else the reason has been said */
        result = flush_results(&cli.log);
    }
    cli_on_interrupt(NULL, NULL);
    adamra_context_destroy(cli.context);
    options_finish(&cli.options);
    if (cli_interrupted()) {
        fputs(INTERRUPTED_LINE, stderr);
        return EXIT_INTERRUPTED;
    }
    return exit_codes[result];
}
