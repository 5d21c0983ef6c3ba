/* SPDX-License-Identifier: MIT */
/*
 * cmd: text for people, the only way out of a command (JSON aside: json_write_line()). As
 * printf(3), but each %s is somebody else's text: what base/foreign.h does not let through comes
 * out as \xHH, line ends too. Formats are ours and are not touched. Only the codes of tone_on() and
 * tone_off() pass as they are. tools/layers refuses another way out.
 */
#ifndef CMD_SAY_H
#define CMD_SAY_H

#include <stdarg.h>
#include <stdio.h>

/* %d %i %u %x %c %f %g with the lengths hh h l ll z j, %s, %%; width and precision may be "*". Any
 * other conversion ends the text: a bug. */
void say(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_list(FILE *f, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
