/* SPDX-License-Identifier: MIT */
/* Small files as a whole. Knows no format and says nothing: the command has the words. */
#include "cmd/cmd.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

static int read_stream(FILE *f, struct buf *out)
{
	uint8_t chunk[8192];
	size_t n;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	int error = ferror(f) != 0 ? errno : 0;
	explicit_bzero(chunk, sizeof(chunk)); /* it may have been a key */
	return error;
}

int input_read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return errno;
	int error = read_stream(f, out);
	fclose(f);
	return error;
}

int input_read(const char *path, struct buf *out)
{
	return strcmp(path, "-") == 0 ? read_stream(stdin, out) : input_read_file(path, out);
}
