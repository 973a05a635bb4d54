#include "platform.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define USUAL_COLUMNS 80

/* A stream that is closed would become the next file that is opened: a driver's cache, say, which
 * messages or -o /dev/stdout would then overwrite. Opened for the wrong direction, it fails as a
 * closed one does; /dev/full also refuses what is written to it by the name /dev/stdout. */
static void occupy_closed_streams(void)
{
    static const struct {
        const char *path;
        int mode;
    } stand_ins[] = {
        [STDIN_FILENO] = {"/dev/null", O_WRONLY},
        [STDOUT_FILENO] = {"/dev/full", O_RDONLY},
        [STDERR_FILENO] = {"/dev/full", O_RDONLY},
    };
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) < 0) {
            (void)open(stand_ins[stream].path, stand_ins[stream].mode);
        }
    }
}

/* Tensors are read from a mapping of their file. What stands behind it can go. */
static void lose_file(int signal)
{
    (void)signal;
    platform_leave("adamra: cannot read a file: it became shorter meanwhile, or its disk fails\n",
                   EXIT_FAILURE);
}

char **platform_start(int argc, char **argv)
{
    (void)argc;
    occupy_closed_streams();
    signal(SIGBUS, lose_file);
    signal(SIGXFSZ, SIG_IGN); /* a write fails then, and its file's name can be said */
    return argv;
}

void platform_catch_interrupt(void (*handler)(int signal))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    /* Time limits of batch systems too, and closed terminals unless nohup says otherwise. */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction inherited;
    if (sigaction(SIGHUP, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

void platform_leave(const char *text, int code)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
    _exit(code);
}

bool platform_same_file(const char *path, const char *other)
{
    struct stat info, second;
    return stat(path, &info) == 0 && stat(other, &second) == 0 &&
           S_ISREG(info.st_mode) && info.st_dev == second.st_dev &&
           info.st_ino == second.st_ino;
}

int platform_columns(FILE *stream)
{
    struct winsize size;
    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                            : USUAL_COLUMNS;
}

bool platform_is_terminal(FILE *stream)
{
    const char *kind = getenv("TERM");
    return isatty(fileno(stream)) != 0 && kind && strcmp(kind, "dumb") != 0;
}

ssize_t platform_getline(char **line, size_t *space, FILE *stream)
{
    return getline(line, space, stream);
}
