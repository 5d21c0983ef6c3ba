/* SPDX-License-Identifier: MIT */
/*
 * dsn: whatever the other hosts, the envelope and the original say, the notification keeps its
 * shape: CRLF lines within the limit, four boundary lines, three parts, no octet too wide.
 */
#include "fuzz.h"

#include "dsn/dsn.h"

enum { PART_MAX = 2048, OUT_MAX = 1 << 22 };

static const char boundary[] = "=_b0/1";

/* A NUL-terminated piece up to the next 0xff octet. */
static const char *take_text(struct slice *in, char room[static PART_MAX])
{
	struct slice piece = slice_cut(*in, 0xff, in);
	size_t n = 0;

	for (; n < piece.n && n < PART_MAX - 1 && piece.p[n] != '\0'; n++)
		room[n] = (char)piece.p[n];
	room[n] = '\0';
	return room;
}

static void check_line(struct slice line, bool utf8, size_t *delimiters, bool *closed)
{
	FUZZ_CHECK(line.n <= DSN_LINE_MAX);
	for (size_t i = 0; i < line.n; i++) {
		FUZZ_CHECK(line.p[i] != '\0' && line.p[i] != '\r' && line.p[i] != '\n');
		FUZZ_CHECK(utf8 || line.p[i] < 0x80);
	}
	if (line.n < 2 + sizeof(boundary) - 1 || line.p[0] != '-' || line.p[1] != '-' ||
	    memcmp(line.p + 2, boundary, sizeof(boundary) - 1) != 0)
		return;
	FUZZ_CHECK(!*closed);
	line = slice_from(line, 2 + sizeof(boundary) - 1);
	*closed = slice_eq_str(line, "--");
	FUZZ_CHECK(line.n == 0 || *closed);
	(*delimiters)++;
}

static void check_lines(struct slice s, bool utf8)
{
	size_t delimiters = 0;
	bool closed = false;

	while (s.n > 0) {
		size_t end = slice_find(s, '\n');
		FUZZ_CHECK(end > 0 && end < s.n && s.p[end - 1] == '\r');
		check_line(slice_first(s, end - 1), utf8, &delimiters, &closed);
		s = slice_from(s, end + 1);
	}
	FUZZ_CHECK(closed && delimiters == 4);
}

/* The status part has one group a recipient and the fields that must be there, once each. */
static size_t count(struct slice s, const char *name)
{
	size_t n = 0;

	while (s.n > 0) {
		n += slice_starts_nocase(s, name);
		s = slice_from(s, slice_find(s, '\n') + 1);
	}
	return n;
}

static void check_status(struct slice all, bool utf8)
{
	const char *type = utf8 ? "Content-Type: message/global-delivery-status"
				: "Content-Type: message/delivery-status";
	FUZZ_CHECK(count(all, "Content-Type: multipart/report") == 1);
	FUZZ_CHECK(count(all, type) >= 1);
	while (!slice_starts_nocase(all, type))
		all = slice_from(all, slice_find(all, '\n') + 1);
	size_t end = 0;
	while (end < all.n && !slice_starts_nocase(slice_from(all, end), "--=_b0/1"))
		end += slice_find(slice_from(all, end), '\n') + 1;
	all = slice_first(all, end);
	FUZZ_CHECK(count(all, "Reporting-MTA:") == 1);
	FUZZ_CHECK(count(all, "Final-Recipient:") == 2);
	FUZZ_CHECK(count(all, "Action:") == 2);
	FUZZ_CHECK(count(all, "Status:") == 2);
}

/* Adds the original in pieces; each call keeps its promise about room. */
static void add_original(struct dsn_writer *w, struct slice in, size_t chunk, struct buf *out)
{
	bool more = true;

	while (in.n > 0 && more) {
		struct slice piece = slice_first(in, chunk);
		size_t before = buf_len(out);
		more = dsn_add_original(w, piece, out);
		FUZZ_CHECK(buf_len(out) - before <= 4 * piece.n + DSN_BOUNDARY_MAX + 8);
		in = slice_from(in, chunk);
	}
	dsn_end(w, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const dates = "Mon, 1 Jan 2024 00:00:00 +0000";
	struct slice in = slice_make(data, size);
	char text[8][PART_MAX];
	uint8_t flags = fuzz_take(&in), mode = fuzz_take(&in);
	size_t chunk[2] = {1, (size_t)fuzz_take(&in) + 1};
	struct dsn_writer w;
	struct buf out[2];

	for (size_t i = 0; i < 8; i++)
		(void)take_text(&in, text[i]);
	const char *list[2] = {text[6], text[7]};
	struct dsn_rcpt r = {.action = (enum dsn_action)(1 + mode % 3),
			     .address = text[0],
			     .orcpt = (flags & 1) != 0 ? text[1] : NULL,
			     .orcpt_type = (flags & 2) != 0 ? text[2] : NULL,
			     .reason = (enum reason)(mode % REASON_COUNT),
			     .code = text[3],
			     .expired = (flags & 4) != 0,
			     .host = text[4],
			     .reply = text[5],
			     .detail = text[6],
			     .tlsa = list,
			     .ntlsa = 2,
			     .cert = list,
			     .ncert = 2};
	struct dsn_rcpt both[3] = {r, {.action = DSN_NONE, .address = "n@example.net"}, r};
	struct dsn_message m = {.reporting_mta = "mx.example",
				.from = "postmaster@mx.example",
				.to = "a@example.org",
				.date = dates,
				.message_id = "<1@mx.example>",
				.boundary = boundary,
				.queue_id = text[2],
				.envid = text[1],
				.retry_until = dates,
				.utf8 = (flags & 8) != 0,
				.ret = (flags & 16) != 0 ? DSN_RET_FULL : DSN_RET_HDRS,
				.eight_bit = (flags & 32) != 0,
				.full_max = (flags & 64) != 0 ? 1000000 : 0,
				.original_size = in.n,
				.rcpt = both,
				.nrcpt = 3};
	for (size_t i = 0; i < 2; i++) {
		buf_init(&out[i], OUT_MAX);
		FUZZ_CHECK(dsn_begin(&w, &m, &out[i]));
		add_original(&w, in, chunk[i], &out[i]);
		FUZZ_CHECK(buf_ok(&out[i]));
		FUZZ_CHECK(slice_eq(buf_slice(&out[i]), buf_slice(&out[0])));
	}
	check_lines(buf_slice(&out[0]), m.utf8);
	check_status(buf_slice(&out[0]), m.utf8);
	for (size_t i = 0; i < 2; i++)
		buf_free(&out[i]);
	return 0;
}
