/* options: the flags of all subcommands, from one table, and the values that they set.
 *
 * Flags stand before environment variables, environment variables before defaults; of a flag given
 * twice the last one counts. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "adamra.h"
#include "flags.h"

/* The subcommands that a flag belongs to. */
enum command_bit {
    FOR_DEVICES = 1,
    FOR_ATTEND = 2,
    FOR_CLASSIFY = 4,
    FOR_RUN = 8,
    FOR_SELFTEST = 16,
    FOR_TUNE = 32,
    FOR_ALL = 63,
};

/* Values of a flag that may be repeated, in their order; the strings are argv's. */
struct word_list {
    const char **items;
    uint32_t count;
};

/* Flags of which it counts whether they were given. */
enum given {
    GIVEN_DEVICE = 1, /* by the flag, not the environment */
    GIVEN_DTYPE = 2,
};

struct options {
    const char *device;         /* NULL: the library chooses */
    const char *limits;         /* of ADAMRA_LIMITS; NULL: none */
    double max_submit_ms;       /* 0: the library's default; negative: unbounded */
    uint64_t max_device_memory; /* bytes; 0: what there is */
    adamra_type type;
    bool quiet, verbose, help, json;
    bool no_tune;                /* the usual kernels only */
    double max_seconds;          /* of tune; 0: the library's default */
    const char *output, *tokens; /* paths; NULL where not given */
    const char *attention;       /* the kind's name */
    uint32_t rates[ADAMRA_MAX_HEADS];
    uint32_t rate_count; /* 0: no --rates */
    adamra_routing routing;
    adamra_feature_map feature_map;
    adamra_pooling pooling;
    float eps;              /* 0: the library's default */
    adamra_bigbird bigbird; /* the specification's defaults where no flag says otherwise */
    uint32_t top;           /* labels a text */
    uint32_t repeat;        /* rounds of selftest */
    uint64_t seed;          /* of the first of them */
    uint32_t given;         /* enum given bits */
    struct word_list texts, jsonl;
    struct word_list operands; /* what is not a flag */
};

/* Reads the flags of the subcommand `bit` from argv; argv[0] is the subcommand's name.
 * STATUS_INVALID_ARGUMENT: an unknown flag or a value that can never be right. On failure, too,
 * options_finish frees what *options holds. */
status options_parse(struct logger *log, enum command_bit bit, int argc, char **argv,
                     struct options *options);
/* The same for a subcommand with a table of its own; *options may be the start of a larger
 * struct. */
status options_parse_table(struct logger *log, const struct flag_table *table, int argc,
                           char **argv, struct options *options);
void options_finish(struct options *options);

/* Set functions of flags that tables share (flags.h). */
bool option_device(struct options *options, const char *text);
bool option_quiet(struct options *options, const char *text);
bool option_verbose(struct options *options, const char *text);
bool option_help(struct options *options, const char *text);
bool option_no_tune(struct options *options, const char *text);

/* Prints a line for each flag of the subcommand. */
void options_print(FILE *stream, enum command_bit bit);

#endif
