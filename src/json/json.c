/* SPDX-License-Identifier: MIT */
/*
 * JSON documents, on top of jansson.
 *
 * Knows jansson and UTF-8. Refuses to know what the documents say. A struct json is a thin handle:
 * the values are jansson's; the handles form a tree of their own, so that a failure anywhere
 * reaches the root.
 */
#include "json/json.h"

#include "base/buf.h"
#include "base/foreign.h"
#include "base/utf8.h"

/* From here on these names are jansson's. */
#undef json_object
#undef json_array
#include <jansson.h>

enum { STRING_MAX = 16 * 1024 * 1024, LINE_MAX_OCTETS = 1 << 30 };

struct json {
	json_t *value;       /* owned by a root, borrowed from the parent's value by a child */
	struct json *parent; /* NULL: a root */
	struct json *child, *sibling;
	bool failed;
};

/* --- handles --------------------------------------------------------------------------------- */

static struct json *handle_new(json_t *value)
{
	struct json *j = value ? calloc(1, sizeof *j) : NULL;
	if (j)
		j->value = value;
	else
		json_decref(value);
	return j;
}

struct json *json_new_object(void)
{
	return handle_new(json_object());
}

struct json *json_new_array(void)
{
	return handle_new(json_array());
}

static void free_handles(struct json *j)
{
	for (struct json *c = j->child, *next; c; c = next) {
		next = c->sibling;
		free_handles(c);
	}
	free(j);
}

void json_free(struct json **jp)
{
	struct json *j = *jp;
	if (!j)
		return;
	*jp = NULL;
	json_decref(j->value);
	free_handles(j);
}

static void fail(struct json *j)
{
	for (; j; j = j->parent)
		j->failed = true;
}

bool json_ok(const struct json *j)
{
	return j && !j->failed;
}

/* --- values ---------------------------------------------------------------------------------- */

/* Steals the reference; a NULL value is a failure. */
static bool put(struct json *obj, const char *key, json_t *value)
{
	const json_t *old = json_ok(obj) ? json_object_get(obj->value, key) : NULL;
	if (!json_ok(obj) || !value || json_is_object(old) || json_is_array(old)) {
		json_decref(value);
		fail(obj);
		return false;
	}
	if (json_object_set_new(obj->value, key, value) == 0)
		return true;
	fail(obj);
	return false;
}

static bool add(struct json *arr, json_t *value)
{
	if (!json_ok(arr) || !value) {
		json_decref(value);
		fail(arr);
		return false;
	}
	if (json_array_append_new(arr->value, value) == 0)
		return true;
	fail(arr);
	return false;
}

/* U+FFFD for each octet that is not part of a valid character. */
static json_t *mended(struct slice s)
{
	struct buf b;
	buf_init(&b, STRING_MAX);
	while (s.n > 0) {
		size_t n = utf8_next(s);
		if (n > 0)
			buf_add(&b, s.p, n);
		else
			buf_add_str(&b, "\xef\xbf\xbd");
		s = slice_from(s, n > 0 ? n : 1);
	}
	const char *text = buf_cstr(&b);
	json_t *v = buf_ok(&b) ? json_string(text) : NULL;
	buf_free(&b);
	return v;
}

static json_t *text_value(const char *text)
{
	if (!text)
		return json_null();
	json_t *v = json_string(text); /* NULL as well when it is not UTF-8 */
	return v ? v : mended(slice_str(text));
}

void json_set_str(struct json *obj, const char *key, const char *value)
{
	put(obj, key, text_value(value));
}

void json_set_int(struct json *obj, const char *key, int64_t value)
{
	put(obj, key, json_integer(value));
}

void json_set_bool(struct json *obj, const char *key, bool value)
{
	put(obj, key, json_boolean(value));
}

void json_set_null(struct json *obj, const char *key)
{
	put(obj, key, json_null());
}

void json_append_str(struct json *arr, const char *value)
{
	add(arr, text_value(value));
}

void json_append_int(struct json *arr, int64_t value)
{
	add(arr, json_integer(value));
}

/* --- containers in containers ---------------------------------------------------------------- */

/* The parent has taken the child's value over, or has dropped it. */
static struct json *adopt(struct json *parent, struct json *child, bool taken)
{
	if (!parent) {
		free_handles(child);
		return NULL;
	}
	if (!taken)
		child->value = NULL;
	child->parent = parent;
	child->sibling = parent->child;
	parent->child = child;
	if (!taken || child->failed)
		fail(child);
	return child;
}

struct json *json_set(struct json *obj, const char *key, struct json *child)
{
	if (!child) {
		fail(obj);
		return NULL;
	}
	return adopt(obj, child, put(obj, key, child->value));
}

struct json *json_append(struct json *arr, struct json *child)
{
	if (!child) {
		fail(arr);
		return NULL;
	}
	return adopt(arr, child, add(arr, child->value));
}

/* --- printing -------------------------------------------------------------------------------- */

/* What a terminal or a reader would obey stands in strings only, and jansson has escaped C0: as
 * \uHHHH it means the same (RFC 8259 s7). */
static void add_escaped(struct buf *out, struct slice text)
{
	while (text.n > 0) {
		uint32_t c;
		size_t n = utf8_take(text, &c);
		if (n > 0 && foreign_is_control(c))
			buf_addf(out, "\\u%04X", (unsigned)c);
		else
			buf_add(out, text.p, n > 0 ? n : 1);
		text = slice_from(text, n > 0 ? n : 1);
	}
}

bool json_write_line(const struct json *j, FILE *f)
{
	struct buf line;
	char *text = json_ok(j) ? json_dumps(j->value, JSON_COMPACT) : NULL;
	if (!text)
		return false;
	buf_init(&line, LINE_MAX_OCTETS);
	add_escaped(&line, slice_str(text));
	buf_add_u8(&line, '\n');
	struct slice s = buf_slice(&line);
	bool ok = buf_ok(&line) && fwrite(s.p, 1, s.n, f) == s.n && !ferror(f);
	buf_free(&line);
	free(text);
	return ok;
}

/* --- reading --------------------------------------------------------------------------------- */

struct json *json_parse(const char *text, size_t n)
{
	json_error_t error;
	return handle_new(json_loadb(text, n, JSON_REJECT_DUPLICATES, &error));
}

const char *json_get_str(const struct json *obj, const char *key)
{
	return obj ? json_string_value(json_object_get(obj->value, key)) : NULL;
}

int64_t json_get_int(const struct json *obj, const char *key)
{
	return obj ? (int64_t)json_integer_value(json_object_get(obj->value, key)) : 0;
}

bool json_get_bool(const struct json *obj, const char *key)
{
	return obj && json_is_true(json_object_get(obj->value, key));
}

bool json_has_key(const struct json *obj, const char *key)
{
	return obj && json_object_get(obj->value, key);
}

size_t json_get_count(const struct json *obj, const char *key)
{
	return obj ? json_array_size(json_object_get(obj->value, key)) : 0;
}

const char *json_get_element(const struct json *obj, const char *key, size_t i)
{
	return obj ? json_string_value(json_array_get(json_object_get(obj->value, key), i)) : NULL;
}

bool json_is_list(const struct json *obj, const char *key)
{
	return obj && json_is_array(json_object_get(obj->value, key));
}

size_t json_count_keys(const struct json *obj)
{
	return obj ? json_object_size(obj->value) : 0;
}

struct json *json_get_item(struct json *obj, const char *key, size_t i)
{
	json_t *value = obj ? json_array_get(json_object_get(obj->value, key), i) : NULL;
	struct json *child = value ? handle_new(json_incref(value)) : NULL;
	if (!child)
		return NULL;
	json_decref(value); /* borrowed, as every child's */
	child->parent = obj;
	child->sibling = obj->child;
	obj->child = child;
	return child;
}
