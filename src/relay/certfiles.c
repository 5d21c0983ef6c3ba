/* SPDX-License-Identifier: MIT */
/* How files look: stat(2) of each, as one number. Opens and reads none of them. */
#include "relay/certfiles.h"

#include <sys/stat.h>

/* FNV-1a: nobody attacks it who could not change the files themselves. */
static void mix(uint64_t *h, uint64_t v)
{
	for (int i = 0; i < 8; i++) {
		*h ^= v >> (8 * i) & 0xff;
		*h *= 0x100000001b3u;
	}
}

static void mix_file(uint64_t *h, const char *file)
{
	struct stat st;
	if (stat(file, &st) != 0) {
		mix(h, 1); /* gone for a moment, perhaps */
		return;
	}
	mix(h, (uint64_t)st.st_dev);
	mix(h, (uint64_t)st.st_ino);
	mix(h, (uint64_t)st.st_size);
	mix(h, (uint64_t)st.st_mtim.tv_sec);
	mix(h, (uint64_t)st.st_mtim.tv_nsec);
	mix(h, (uint64_t)st.st_ctim.tv_sec);
	mix(h, (uint64_t)st.st_ctim.tv_nsec);
}

static uint64_t look(const struct conf *c)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; c->relay_certificate[i] != NULL; i++)
		mix_file(&h, c->relay_certificate[i]);
	for (size_t i = 0; c->relay_key[i] != NULL; i++)
		mix_file(&h, c->relay_key[i]);
	return h;
}

void certfiles_note(struct certfiles *f, const struct conf *c)
{
	f->known = f->last = look(c);
}

bool certfiles_changed(struct certfiles *f, const struct conf *c)
{
	uint64_t now = look(c);
	bool settled = now == f->last && now != f->known;
	f->last = now;
	if (settled)
		f->known = now;
	return settled;
}
