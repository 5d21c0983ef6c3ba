/* SPDX-License-Identifier: MIT */
/*
 * Messages: taking them in and reading their text.
 *
 * Knows the parts that a text is cut into. Refuses to know what is in it.
 */
#include "store/room.h"

#include "wire/origin.h"

#include <errno.h>
#include <unistd.h>

/* --- limits ---------------------------------------------------------------------------------- */

static bool envelope_fits(const struct store_envelope *e)
{
	return text_fits(e->queue_id, STORE_QUEUE_ID_MAX) && e->queue_id[0] &&
	       text_fits(e->reverse_path, STORE_ADDRESS_MAX) &&
	       text_fits(e->envid, STORE_ADDRESS_MAX) && text_fits(e->origin, STORE_TEXT_MAX) &&
	       e->size <= STORE_SIZE_MAX && e->expires >= e->arrived;
}

static bool delivery_fits(const struct store_new_delivery *d)
{
	if (d->nrcpt == 0 || d->nrcpt > STORE_RCPTS_MAX || !d->next_hop[0] ||
	    !text_fits(d->next_hop, STORE_NAME_MAX))
		return false;
	for (size_t i = 0; i < d->nrcpt; i++)
		if (!text_fits(d->rcpt[i].address, STORE_ADDRESS_MAX) ||
		    !text_fits(d->rcpt[i].orcpt, STORE_ADDRESS_MAX) ||
		    !text_fits(d->rcpt[i].notify, STORE_NAME_MAX))
			return false;
	return true;
}

static bool message_fits(const struct store_new_message *m)
{
	if (m->ndelivery == 0 || m->ndelivery > STORE_DELIVERIES_MAX ||
	    !envelope_fits(&m->envelope))
		return false;
	for (size_t i = 0; i < m->ndelivery; i++)
		if (!delivery_fits(&m->delivery[i]))
			return false;
	return m->text.fd >= 0 || m->text.bytes.n == m->envelope.size;
}

/* --- adding ---------------------------------------------------------------------------------- */

static enum store_status add_part(struct store *s, int64_t message, int64_t number,
				  struct slice part)
{
	if (number >= PARTS_MAX)
		return store_fail(s, STORE_LIMIT, "a text of too many parts");
	return sql_run(s, sql_bind(s, SQL_ADD_PART, "ib", message * PARTS_MAX + number, part),
		       NULL);
}

static enum store_status add_bytes(struct store *s, int64_t message, struct slice text)
{
	enum store_status status = STORE_OK;
	for (int64_t i = 0; text.n > 0 && status == STORE_OK; i++) {
		status = add_part(s, message, i, slice_first(text, PART_BYTES));
		text = slice_from(text, PART_BYTES);
	}
	return status;
}

static enum store_status read_part(struct store *s, int fd, uint64_t offset, uint8_t *out, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t got = pread(fd, out + have, n - have, (off_t)(offset + have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return store_fail(s, STORE_SOURCE, "the text cannot be read: %s",
					  strerror(errno));
		if (got == 0)
			return store_fail(s, STORE_SOURCE, "the text is shorter than announced");
		have += (size_t)got;
	}
	return STORE_OK;
}

static enum store_status add_file(struct store *s, int64_t message, const struct store_text *text,
				  uint64_t size)
{
	uint8_t *part = malloc(PART_BYTES);
	if (!part)
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	enum store_status status = STORE_OK;
	int64_t i = 0;
	for (uint64_t at = 0; at < size && status == STORE_OK; i++) {
		size_t n = size - at < PART_BYTES ? (size_t)(size - at) : PART_BYTES;
		status = read_part(s, text->fd, text->offset + at, part, n);
		if (status == STORE_OK)
			status = add_part(s, message, i, slice_make(part, n));
		at += n;
	}
	free(part);
	return status;
}

static enum store_status destination_id(struct store *s, const char *name, int64_t now, int64_t *id)
{
	enum store_status status = sql_value(s, sql_bind(s, SQL_DESTINATION_ID, "t", name), id);
	if (status != STORE_NOT_FOUND)
		return status;
	status = sql_run(s, sql_bind(s, SQL_ADD_DESTINATION, "ti", name, now), NULL);
	s->destinations += status == STORE_OK;
	*id = sqlite3_last_insert_rowid(s->db);
	return status;
}

static enum store_status add_rcpts(struct store *s, int64_t delivery,
				   const struct store_new_delivery *d)
{
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < d->nrcpt && status == STORE_OK; i++) {
		const struct store_new_rcpt *r = &d->rcpt[i];
		status = sql_run(s,
				 sql_bind(s, SQL_ADD_RCPT, "iittt", delivery, (int64_t)i,
					  r->address, r->orcpt, r->notify),
				 NULL);
	}
	return status;
}

static uint64_t sender_of(const struct store_envelope *e)
{
	return e->sender != 0 ? e->sender : origin_sender(ORIGIN_NONE, e->reverse_path);
}

static enum store_status add_delivery(struct store *s, int64_t message,
				      const struct store_new_message *m,
				      const struct store_new_delivery *d)
{
	int64_t destination = 0;
	const struct store_envelope *e = &m->envelope;
	int64_t id = s->now.last_delivery + 1;
	enum store_status status = destination_id(s, d->next_hop, e->arrived, &destination);
	if (status == STORE_OK)
		status = sql_run(s,
				 sql_bind(s, SQL_ADD_DELIVERY, "iiiiiiiii", id, message,
					  destination, d->due, e->arrived, e->expires, m->warn,
					  (int64_t)sender_of(e), (int64_t)d->nrcpt),
				 NULL);
	if (status == STORE_OK)
		status = delivery_added(s, destination, d->due, e->arrived);
	if (status == STORE_OK)
		status = add_rcpts(s, id, d);
	if (status == STORE_OK) { /* else the counters are those of the last commit again */
		s->now.last_delivery = id;
		s->now.recipients += (int64_t)d->nrcpt;
	}
	return status;
}

static int64_t count_rcpts(const struct store_new_message *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->ndelivery; i++)
		n += m->delivery[i].nrcpt;
	return (int64_t)n;
}

static enum store_status add_envelope(struct store *s, const struct store_new_message *m,
				      int64_t id)
{
	const struct store_envelope *e = &m->envelope;
	sqlite3_stmt *st =
	    sql_bind(s, SQL_ADD_MESSAGE, "itiittttiiii", id, e->queue_id, e->arrived, e->expires,
		     e->reverse_path, e->envid, e->ret, e->origin, (int64_t)e->size,
		     (int64_t)e->eight_bit, (int64_t)e->smtputf8, count_rcpts(m));
	enum store_status status = sql_run(s, st, NULL);
	if (status == STORE_OK) {
		s->now.last_message = id;
		s->now.messages++;
		s->now.bytes += (int64_t)e->size;
	}
	if (status == STORE_EXISTS)
		store_fail(s, status, "the queue id %s is taken", e->queue_id);
	return status;
}

/* The envelope first: when it is refused, nothing has changed. */
static enum store_status add_all(struct store *s, const struct store_new_message *m)
{
	int64_t id = s->now.last_message + 1;
	enum store_status status = add_envelope(s, m, id);
	if (status == STORE_OK)
		status = m->text.fd >= 0 ? add_file(s, id, &m->text, m->envelope.size)
					 : add_bytes(s, id, m->text.bytes);
	for (size_t i = 0; i < m->ndelivery && status == STORE_OK; i++)
		status = add_delivery(s, id, m, &m->delivery[i]);
	return status;
}

enum store_status store_add(struct store *s, const struct store_new_message *m)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	if (!message_fits(m))
		return store_fail(s, STORE_LIMIT, "the message or its envelope is over a limit");
	status = store_check_room(s, m->envelope.size);
	if (status != STORE_OK)
		return status;
	if (m->text.fd < 0) /* after the envelope only what undoes the group can fail */
		status = add_all(s, m);
	else if ((status = store_step_begin(s)) == STORE_OK)
		status = store_step_end(s, add_all(s, m));
	if (status == STORE_OK)
		s->group_bytes += m->envelope.size;
	return status;
}

/* --- reading --------------------------------------------------------------------------------- */

typedef enum store_status part_fn(struct store *s, void *arg, struct slice part);

struct span {
	uint64_t from, to; /* octets of the text */
};

static enum store_status damaged(struct store *s, int64_t message)
{
	return store_fail(s, STORE_DAMAGED, "the text of message %lld is incomplete",
			  (long long)message);
}

/* Hands out the span part by part. */
static enum store_status each_part(struct store *s, int64_t message, struct span span, part_fn *fn,
				   void *arg)
{
	int64_t base = message * PARTS_MAX;
	sqlite3_stmt *st = sql_bind(s, SQL_PARTS, "ii", base + (int64_t)(span.from / PART_BYTES),
				    base + (int64_t)((span.to - 1) / PART_BYTES));
	uint64_t at = span.from;
	for (bool row = true; at < span.to;) {
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status == STORE_OK ? damaged(s, message) : status;
		const void *p = sqlite3_column_blob(st, 1);
		if (sql_column_lost(st, 1, p)) { /* not damaged: only not read this time */
			sql_end(st);
			return store_fail(s, STORE_NO_MEMORY, "out of memory");
		}
		struct slice part = slice_make(p, (size_t)sqlite3_column_bytes(st, 1));
		uint64_t start = (uint64_t)(sqlite3_column_int64(st, 0) - base) * PART_BYTES;
		if (start > at || start + part.n <= at)
			status = damaged(s, message);
		else
			part = slice_first(slice_from(part, (size_t)(at - start)),
					   (size_t)(span.to - at));
		if (status == STORE_OK)
			status = fn(s, arg, part);
		if (status != STORE_OK) {
			sql_end(st);
			return status;
		}
		at += part.n;
	}
	sql_end(st);
	return STORE_OK;
}

static enum store_status text_size(struct store *s, int64_t message, uint64_t *size)
{
	int64_t n = 0;
	enum store_status status = sql_value(s, sql_bind(s, SQL_MESSAGE_SIZE, "i", message), &n);
	*size = (uint64_t)n;
	if (status == STORE_NOT_FOUND)
		store_fail(s, status, "no message %lld", (long long)message);
	return status;
}

static enum store_status to_memory(struct store *s, void *arg, struct slice part)
{
	(void)s;
	uint8_t **out = arg;
	memcpy(*out, part.p, part.n);
	*out += part.n;
	return STORE_OK;
}

enum store_status store_text_read(struct store *s, int64_t message, uint64_t offset, uint8_t *out,
				  size_t room, size_t *got)
{
	uint64_t size = 0;
	*got = 0;
	enum store_status status = text_size(s, message, &size);
	if (status != STORE_OK || offset >= size || room == 0)
		return status;
	size_t n = size - offset < room ? (size_t)(size - offset) : room;
	status = each_part(s, message, (struct span){offset, offset + n}, to_memory, &out);
	if (status == STORE_OK)
		*got = n;
	return status;
}

static enum store_status to_file(struct store *s, void *arg, struct slice part)
{
	const int *fd = arg;
	while (part.n > 0) {
		ssize_t n = write(*fd, part.p, part.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_fail(s, STORE_SOURCE, "the text cannot be copied: %s",
					  strerror(errno));
		part = slice_from(part, (size_t)n);
	}
	return STORE_OK;
}

enum store_status store_text_copy(struct store *s, int64_t message, int fd)
{
	uint64_t size = 0;
	enum store_status status = text_size(s, message, &size);
	if (status != STORE_OK || size == 0)
		return status;
	return each_part(s, message, (struct span){0, size}, to_file, &fd);
}
