/* SPDX-License-Identifier: MIT */
/*
 * Domain names between their wire form, their text form and a packet that may try to loop.
 *
 * Knows labels, compression and escapes. Refuses to know IDN, search lists and what a name is for.
 */
#include "wire/dname.h"

enum {
	POINTER_BITS = 0xc0, /* RFC 1035 s4.1.4: the two high bits of a length octet */
	ROOT_LEN = 1,
};

/* Adds one octet of a label and leaves room for the root label that every name ends with. */
static enum dname_error put_octet(struct dname *out, size_t label_at, uint8_t octet)
{
	if (out->wire[label_at] == DNAME_LABEL_MAX)
		return DNAME_LABEL_TOO_LONG;
	if (out->len + ROOT_LEN >= DNAME_WIRE_MAX)
		return DNAME_TOO_LONG;
	out->wire[out->len++] = octet;
	out->wire[label_at]++;
	return DNAME_OK;
}

static enum dname_error begin_label(struct dname *out, size_t *label_at)
{
	/* the length octet, at least one octet, the root label */
	if (out->len + 1 + 1 + ROOT_LEN > DNAME_WIRE_MAX)
		return DNAME_TOO_LONG;
	*label_at = out->len;
	out->wire[out->len++] = 0;
	return DNAME_OK;
}

/* An escaped or plain octet at text.p[0]; returns how many octets of text it took, 0 if bad. */
static size_t text_octet(struct slice text, uint8_t *octet)
{
	uint64_t value;

	*octet = text.p[0];
	if (text.p[0] <= ' ' || text.p[0] > '~')
		return 0;
	if (text.p[0] != '\\')
		return 1;
	if (text.n < 2 || text.p[1] <= ' ' || text.p[1] > '~')
		return 0;
	*octet = text.p[1];
	if (!ascii_is_digit(text.p[1]))
		return 2;
	struct slice digits = slice_first(slice_from(text, 1), 3);
	if (digits.n < 3 || !slice_to_u64(digits, UINT8_MAX, &value))
		return 0;
	*octet = (uint8_t)value;
	return 4;
}

/*
 * One label up to its dot or the end of the text.
 *   label = 1*63( octet / "\" 3DIGIT / "\" non-digit )     ; RFC 1035 s5.1
 */
static enum dname_error label_from_text(struct slice *text, struct dname *out)
{
	size_t label_at;
	enum dname_error e = begin_label(out, &label_at);

	while (e == DNAME_OK && text->n > 0 && text->p[0] != '.') {
		uint8_t octet;
		size_t took = text_octet(*text, &octet);
		if (took == 0)
			return DNAME_BAD_ESCAPE;
		e = put_octet(out, label_at, octet);
		*text = slice_from(*text, took);
	}
	if (e == DNAME_OK && out->wire[label_at] == 0)
		return DNAME_EMPTY;
	return e;
}

/* name = "." / ( label *( "." label ) [ "." ] ) */
enum dname_error dname_from_text(struct slice text, struct dname *out)
{
	out->len = 0;
	if (text.n == 0)
		return DNAME_EMPTY;
	if (slice_eq_str(text, "."))
		text.n = 0;
	while (text.n > 0) {
		enum dname_error e = label_from_text(&text, out);
		if (e != DNAME_OK)
			return e;
		text = slice_from(text, 1);
	}
	out->wire[out->len++] = 0;
	return DNAME_OK;
}

static enum dname_error copy_label(struct slice msg, size_t at, struct dname *out)
{
	size_t n = 1 + (size_t)msg.p[at];

	if (n > msg.n - at)
		return DNAME_TRUNCATED;
	if (out->len + n + ROOT_LEN > DNAME_WIRE_MAX)
		return DNAME_TOO_LONG;
	memcpy(out->wire + out->len, msg.p + at, n);
	out->len = (uint8_t)(out->len + n);
	return DNAME_OK;
}

/*
 * Moves *at to where the pointer there leads. Only backwards, and behind nothing that was already
 * read (`floor` is where the current run of labels began): so no packet can make us loop.
 */
static enum dname_error follow_pointer(struct slice msg, size_t *at, size_t *floor)
{
	if (msg.n - *at < 2)
		return DNAME_TRUNCATED;
	size_t target = (size_t)(msg.p[*at] & ~POINTER_BITS) << 8 | msg.p[*at + 1];
	if (target >= *floor)
		return DNAME_BAD_POINTER;
	*at = target;
	*floor = target;
	return DNAME_OK;
}

/*
 *   name = *label ( %x00 / pointer )      ; RFC 1035 s4.1.4
 *   label = %x01-3F 1*63OCTET
 *   pointer = %xC0-FF OCTET
 */
enum dname_error dname_parse(struct slice msg, size_t *pos, struct dname *out)
{
	size_t at = *pos;
	size_t floor = *pos;
	size_t behind = 0; /* where the name ends as it stands; 0: no pointer seen yet */
	unsigned jumps = 0;
	enum dname_error e = DNAME_OK;

	out->len = 0;
	while (at < msg.n && msg.p[at] != 0 && e == DNAME_OK) {
		uint8_t kind = msg.p[at] & POINTER_BITS;
		if (kind == 0) {
			e = copy_label(msg, at, out);
			at += 1 + (size_t)msg.p[at];
			continue;
		}
		if (kind != POINTER_BITS || ++jumps > DNAME_POINTERS_MAX)
			return DNAME_BAD_POINTER;
		if (behind == 0)
			behind = at + 2;
		e = follow_pointer(msg, &at, &floor);
	}
	if (e != DNAME_OK)
		return e;
	if (at >= msg.n)
		return DNAME_TRUNCATED;
	out->wire[out->len++] = 0;
	*pos = behind != 0 ? behind : at + 1;
	return DNAME_OK;
}

static size_t octet_to_text(uint8_t octet, char *out)
{
	octet = ascii_lower(octet);
	if (octet > ' ' && octet <= '~' && octet != '.' && octet != '\\') {
		out[0] = (char)octet;
		return 1;
	}
	out[0] = '\\';
	if (octet == '.' || octet == '\\') {
		out[1] = (char)octet;
		return 2;
	}
	out[1] = (char)('0' + octet / 100);
	out[2] = (char)('0' + octet / 10 % 10);
	out[3] = (char)('0' + octet % 10);
	return 4;
}

size_t dname_to_text(const struct dname *n, char out[static DNAME_TEXT_MAX])
{
	size_t len = 0;

	if (n->wire[0] == 0)
		out[len++] = '.';
	for (size_t at = 0; n->wire[at] != 0; at += 1 + (size_t)n->wire[at]) {
		if (at > 0)
			out[len++] = '.';
		for (size_t i = 1; i <= n->wire[at]; i++)
			len += octet_to_text(n->wire[at + i], out + len);
	}
	out[len] = '\0';
	return len;
}

bool dname_eq(const struct dname *a, const struct dname *b)
{
	/* Folding case over the length octets too is harmless: they are below 'A'. */
	return slice_eq_nocase(slice_make(a->wire, a->len), slice_make(b->wire, b->len));
}

const char *dname_strerror(enum dname_error e)
{
	switch (e) {
	case DNAME_OK:
		return "no error";
	case DNAME_EMPTY:
		return "the name or one of its labels is empty";
	case DNAME_LABEL_TOO_LONG:
		return "a label is longer than 63 octets";
	case DNAME_TOO_LONG:
		return "the name is longer than 255 octets";
	case DNAME_BAD_ESCAPE:
		return "a bad escape, or an octet that must be escaped";
	case DNAME_TRUNCATED:
		return "the name runs past the end of the message";
	case DNAME_BAD_POINTER:
		return "a compression pointer that does not lead backwards";
	}
	return "unknown error";
}

/* Let-dig [Ldh-str], with "_" as a letter: RFC 1123 s2.1, RFC 5321 s4.1.2 */
static bool label_is_ldh(struct slice label)
{
	if (label.n == 0 || label.n > DNAME_LABEL_MAX)
		return false;
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	}
	return true;
}

static bool is_all_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
	}
	return true;
}

bool hostname_is_valid(struct slice text)
{
	struct slice label = {0};

	/* slice_cut() cannot show an empty last label */
	if (text.n == 0 || text.n > DNAME_WIRE_MAX - 2 || text.p[text.n - 1] == '.')
		return false;
	while (text.n > 0) {
		label = slice_cut(text, '.', &text);
		if (!label_is_ldh(label))
			return false;
	}
	return !is_all_digits(label);
}
