/* SPDX-License-Identifier: MIT */
/*
 * Plays every scene of a folder (or the files given) in two ways and prints what failed, with file
 * and line. Exit status 0: all as expected.
 */
#include "scene.h"

#include <dirent.h>
#include <sys/stat.h>

enum { SCENES_MAX = 2000, PATH_SIZE = 1024 };

static const struct scene_mode modes[] = {
    {.name = "in order"},
    {.name = "last answer first, octet by octet", .lifo = true, .bytewise = true},
};

static bool run(const char *path)
{
	struct scene s;
	struct show *w = malloc(sizeof(*w));
	char error[700] = "";
	bool ok = w != NULL && scene_read(path, &s);
	if (!ok)
		printf("FAIL %s\n", w != NULL ? s.error : "out of memory");
	for (size_t i = 0; ok && i < sizeof(modes) / sizeof(modes[0]); i++) {
		ok = scene_play(&s, &modes[i], w);
		snprintf(error, sizeof(error), "%s", w->error);
		ok = ok && scene_judge(w, error, sizeof(error));
		if (!ok)
			printf("FAIL %s [%s]\n", error, modes[i].name);
		show_free(w);
	}
	if (w != NULL)
		scene_free(&s);
	free(w);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_scene(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return n > 6 && strcmp(d->d_name + n - 6, ".scene") == 0;
}

static void run_folder(const char *folder, size_t *played, size_t *failed)
{
	char *path[SCENES_MAX];
	size_t n = 0;
	DIR *d = opendir(folder);
	struct dirent *e;
	while (d != NULL && n < SCENES_MAX && (e = readdir(d)) != NULL) {
		char full[PATH_SIZE];
		snprintf(full, sizeof(full), "%s/%s", folder, e->d_name);
		if (is_scene(e) && (path[n] = strdup(full)) != NULL)
			n++;
	}
	if (d != NULL)
		closedir(d);
	qsort(path, n, sizeof(path[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		*failed += !run(path[i]);
		free(path[i]);
	}
	*played += n;
}

int main(int argc, char **argv)
{
	size_t played = 0, failed = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			run_folder(argv[i], &played, &failed);
		} else {
			failed += !run(argv[i]);
			played++;
		}
	}
	printf("%zu scenes, %zu failed\n", played, failed);
	return played == 0 || failed > 0;
}
