/* SPDX-License-Identifier: MIT */
/*
 * main() for a fuzz target without libFuzzer: feeds it every file of the folders given.
 *
 * Knows folders and files. Each input lies in memory of exactly its size, so that a sanitizer sees
 * one octet too far. No file at all is an error: a corpus that vanished must not pass.
 */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>

enum { INPUT_MAX = 1 << 20 };

static bool feed(FILE *f)
{
	uint8_t *room = malloc(INPUT_MAX);
	size_t n = room != NULL ? fread(room, 1, INPUT_MAX, f) : 0;
	uint8_t *input = room != NULL && n > 0 ? realloc(room, n) : room;
	bool ok = input != NULL && ferror(f) == 0 && n < INPUT_MAX;

	if (ok)
		(void)LLVMFuzzerTestOneInput(input, n);
	free(input != NULL ? input : room);
	return ok;
}

static bool feed_file(const char *folder, const char *name)
{
	char path[PATH_MAX];

	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "rb") : NULL;
	if (f == NULL)
		return false;
	bool ok = feed(f);
	(void)fclose(f);
	return ok;
}

/* How many files were fed; -1: one could not be read. */
static int feed_folder(const char *folder)
{
	DIR *d = opendir(folder);
	int count = 0;

	if (d == NULL)
		return -1;
	for (struct dirent *e = readdir(d); e != NULL && count >= 0; e = readdir(d)) {
		if (e->d_name[0] == '.')
			continue;
		count = feed_file(folder, e->d_name) ? count + 1 : -1;
	}
	(void)closedir(d);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = feed_folder(argv[i]);
		if (count < 0) {
			fprintf(stderr, "%s: cannot read\n", argv[i]);
			return 1;
		}
		total += count;
	}
	printf("%d inputs\n", total);
	return total > 0 ? 0 : 1;
}
