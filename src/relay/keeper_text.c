/* SPDX-License-Identifier: MIT */
/*
 * The texts of messages that couriers have: one memory file a message, however many deliveries of
 * it are under way, read from the store once and sealed, so that no courier can change what another
 * one sends. Refuses to know deliveries: it counts who holds a text.
 */
#include "relay/keeper_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const int SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

static struct carried_text **bucket_of(struct keeper *k, int64_t message)
{
	return &k->text[(uint64_t)message % FLIGHT_BUCKETS];
}

/* By the queue id too: a number of the store may be given again while a removed message flies. */
static struct carried_text *find_text(struct keeper *k, const struct store_delivery *d)
{
	for (struct carried_text *t = *bucket_of(k, d->message); t != NULL; t = t->next) {
		if (t->message == d->message && strcmp(t->queue_id, d->envelope.queue_id) == 0)
			return t;
	}
	return NULL;
}

/* A file with the text of a message, which nobody can change any more; -1: *status says why. */
static int sealed_copy(struct keeper *k, int64_t message, enum store_status *status)
{
	int fd = memfd_create("danelaw-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	*status = fd >= 0 ? store_text_copy(k->store, message, fd) : STORE_SOURCE;
	if (*status == STORE_OK && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		*status = STORE_SOURCE;
	if (*status == STORE_OK || fd < 0)
		return fd;
	close(fd);
	return -1;
}

static enum store_status load_text(struct keeper *k, const struct store_delivery *d,
				   struct carried_text **out)
{
	enum store_status s = STORE_OK;
	struct carried_text *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return STORE_NO_MEMORY;
	t->fd = sealed_copy(k, d->message, &s);
	if (s != STORE_OK) {
		free(t);
		return s;
	}
	struct carried_text **at = bucket_of(k, d->message);
	t->keeper = k;
	t->message = d->message;
	snprintf(t->queue_id, sizeof(t->queue_id), "%s", d->envelope.queue_id);
	t->next = *at;
	*at = t;
	*out = t;
	return STORE_OK;
}

enum store_status keeper_text_hold(struct keeper *k, const struct store_delivery *d,
				   struct carried_text **out)
{
	enum store_status s = STORE_OK;
	*out = find_text(k, d);
	if (*out == NULL)
		s = load_text(k, d, out);
	if (s == STORE_OK)
		(*out)->holders++;
	return s;
}

void keeper_text_release(struct carried_text **held)
{
	struct carried_text *t = *held;
	*held = NULL;
	if (t == NULL || --t->holders > 0)
		return;
	struct carried_text **at = bucket_of(t->keeper, t->message);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	close(t->fd);
	free(t);
}
