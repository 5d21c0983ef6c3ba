/* SPDX-License-Identifier: MIT */
/*
 * json: every JSON document the program prints (jansson).
 *
 * Build a tree with the setters, print it with json_write_line(), free the root. Ownership: a value
 * is owned by whoever made it until json_set() or json_append() gives it to a container, which then
 * owns it even if the call failed; strings are copied.
 *
 * Errors are sticky: setters on NULL, or after a failure, do nothing, and the failure shows in
 * json_ok() and json_write_line() of the root, so that a caller checks once. Invalid UTF-8 in
 * strings and keys becomes U+FFFD. Not thread-safe.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json;

/* jansson exports functions of these names; ours must not take their place when linked. */
#define json_object json_new_object
#define json_array json_new_array

struct json *json_object(void); /* NULL: out of memory; the setters accept it */
struct json *json_array(void);
void json_free(struct json **j); /* only a root: never a child that was given away */

/* Objects; keys are printed in the order in which they were first set. NULL strings become null.
 * A plain value may be set again; replacing an object or array is a failure. */
void json_set_str(struct json *obj, const char *key, const char *value);
void json_set_int(struct json *obj, const char *key, int64_t value);
void json_set_bool(struct json *obj, const char *key, bool value);
void json_set_null(struct json *obj, const char *key);
/* Takes the child over; returns it, still usable for adding to it while the root lives. A NULL
 * child is a failure (it was out of memory). */
struct json *json_set(struct json *obj, const char *key, struct json *child);

/* Arrays. */
struct json *json_append(struct json *arr, struct json *child); /* as json_set() */
void json_append_str(struct json *arr, const char *value);
void json_append_int(struct json *arr, int64_t value);

bool json_ok(const struct json *j); /* false for NULL */

/* One line, compact, with its newline (JSON Lines). False: an earlier failure (nothing is printed
 * then) or a write error. */
bool json_write_line(const struct json *j, FILE *f);

/* --- reading --- */

/* A document from text: a root to json_free(). NULL: not JSON, a key twice in one object, or out of
 * memory. */
struct json *json_parse(const char *text, size_t n);
/* What is not there, or of another type, reads as NULL, 0, false. Strings live as long as the root.
 */
const char *json_get_str(const struct json *obj, const char *key);
int64_t json_get_int(const struct json *obj, const char *key);
bool json_get_bool(const struct json *obj, const char *key);
bool json_has_key(const struct json *obj, const char *key);
size_t json_get_count(const struct json *obj,
		      const char *key); /* elements of the array under key */
/* The i-th text of the array under key; NULL: none, or no text. */
const char *json_get_element(const struct json *obj, const char *key, size_t i);
bool json_is_list(const struct json *obj, const char *key);
size_t json_count_keys(const struct json *obj);
/* The i-th object of the array under key, usable while the root lives; NULL: none. */
struct json *json_get_item(struct json *obj, const char *key, size_t i);

#endif
