/* SPDX-License-Identifier: MIT */
/*
 * A build tool: standard input to standard output, with the line @OPTIONS@ replaced by the options.
 *
 * Knows one placeholder. Refuses to know anything else about the manual page.
 */
#include "conf/conf.h"

#include <string.h>

int main(void)
{
	char line[1024];
	bool seen = false;
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "@OPTIONS@\n") == 0) {
			seen = true;
			conf_print_mdoc(stdout);
		} else {
			fputs(line, stdout);
		}
	}
	return seen && fflush(stdout) == 0 && !ferror(stdout) && !ferror(stdin) ? 0 : 1;
}
