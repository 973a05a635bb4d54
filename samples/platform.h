/* platform: what operating systems do differently and only the program needs; platform_posix.c and
 * platform_windows.c define it, one of which is built. Files are the business of base/system.h. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Prepares the standard streams: bytes go through unchanged, and what is closed stays unused.
 * Returns the arguments in UTF-8, which live as long as the program; NULL: no memory. */
char **platform_start(int argc, char **argv);
/* Calls `handler` at the first Ctrl-C; the second one ends the program. */
void platform_catch_interrupt(void (*handler)(int signal));
/* Writes a text to standard error and ends the program at once; signal handlers may. */
_Noreturn void platform_leave(const char *text, int code);
/* Whether both paths lead to one file that is there. */
bool platform_same_file(const char *path, const char *other);
/* Columns of the terminal that the stream is. */
int platform_columns(FILE *stream);
/* Whether the stream is a terminal that understands ANSI's escape sequences. */
bool platform_is_terminal(FILE *stream);
/* POSIX's getline. */
ssize_t platform_getline(char **line, size_t *space, FILE *stream);

#endif
