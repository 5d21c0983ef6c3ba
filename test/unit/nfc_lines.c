/* SPDX-License-Identifier: MIT */
/* For check_nfc.py: of each line of the input, what nfc_is_normal() says: a line "1" or "0". */
#include "wire/nfc.h"

#include <stdio.h>

int main(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct slice s = slice_str(line);
		puts(nfc_is_normal(slice_first(s, slice_find(s, '\n'))) ? "1" : "0");
	}
	return 0;
}
