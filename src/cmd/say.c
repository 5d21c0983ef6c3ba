/* SPDX-License-Identifier: MIT */
/*
 * printf(3) for text of others.
 *
 * Knows conversions. Refuses to know whose text it is: it may always be a stranger's.
 */
#include "cmd/say.h"

#include "base/foreign.h"
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SPEC_MAX = 32, TEXT_OCTETS_MAX = 64 * 1024 * 1024 };

/* One conversion: "%-40.*s". */
struct spec {
	char text[SPEC_MAX]; /* with numbers for the stars */
	char length[3], conversion;
	bool left;
	int width, precision; /* -1: none */
	size_t n;             /* octets of the format */
};

struct list {
	va_list ap;
};

static int read_number(const char **at, struct list *l)
{
	int n = 0;
	if (**at == '*') {
		(*at)++;
		return va_arg(l->ap, int);
	}
	for (; ascii_is_digit((uint8_t) * *at) && n < 10000; (*at)++)
		n = 10 * n + (**at - '0');
	return n;
}

static void read_spec(const char *fmt, struct list *l, struct spec *s)
{
	const char *at = fmt + 1, *flags = at;
	*s = (struct spec){.width = -1, .precision = -1};
	at += strspn(at, "-+ #0");
	int nflags = (int)(at - flags);
	s->left = memchr(flags, '-', (size_t)nflags) != NULL;
	if (*at == '*' || ascii_is_digit((uint8_t)*at))
		s->width = read_number(&at, l);
	if (s->width < -1) { /* as printf has it: a flag and its width */
		s->left = true;
		s->width = -s->width;
	}
	if (*at == '.') {
		at++;
		s->precision = read_number(&at, l);
	}
	size_t nlength = strspn(at, "hlzj");
	snprintf(s->length, sizeof(s->length), "%.*s", (int)nlength, at);
	at += nlength;
	s->conversion = *at;
	s->n = (size_t)(at - fmt) + (*at != '\0');
	char width[16] = "", precision[16] = "";
	if (s->width >= 0)
		snprintf(width, sizeof(width), "%d", s->width);
	if (s->precision >= 0)
		snprintf(precision, sizeof(precision), ".%d", s->precision);
	snprintf(s->text, sizeof(s->text), "%%%.*s%s%s%s%c", nflags < 5 ? nflags : 5, flags, width,
		 precision, s->length, s->conversion);
}

static void say_text(FILE *f, const struct spec *s, const char *text)
{
	struct buf out;
	if (text == NULL)
		text = "(null)";
	if (tone_is_code(text)) {
		fputs(text, f);
		return;
	}
	size_t n = s->precision >= 0 ? strnlen(text, (size_t)s->precision) : strlen(text);
	buf_init(&out, TEXT_OCTETS_MAX);
	foreign_escape(&out, slice_make(text, n));
	struct slice shown = buf_slice(&out);
	int pad = s->width > (int)shown.n ? s->width - (int)shown.n : 0;
	fprintf(f, "%*s", s->left ? 0 : pad, "");
	if (shown.n > 0)
		fwrite(shown.p, 1, shown.n, f);
	fprintf(f, "%*s", s->left ? pad : 0, "");
	buf_free(&out);
}

/* What is no text cannot hold any: printf itself writes it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static bool say_number(FILE *f, const struct spec *s, struct list *l)
{
	bool is_signed = s->conversion == 'd' || s->conversion == 'i';
	if (strchr("diuxX", s->conversion) == NULL)
		return false;
	if (strcmp(s->length, "l") == 0)
		fprintf(f, s->text, va_arg(l->ap, long));
	else if (strcmp(s->length, "ll") == 0)
		fprintf(f, s->text, va_arg(l->ap, long long));
	else if (strcmp(s->length, "z") == 0)
		fprintf(f, s->text, va_arg(l->ap, size_t));
	else if (strcmp(s->length, "j") == 0)
		fprintf(f, s->text, va_arg(l->ap, intmax_t));
	else if (is_signed)
		fprintf(f, s->text, va_arg(l->ap, int));
	else
		fprintf(f, s->text, va_arg(l->ap, unsigned));
	return true;
}

static bool say_one(FILE *f, const struct spec *s, struct list *l)
{
	switch (s->conversion) {
	case 's':
		say_text(f, s, va_arg(l->ap, const char *));
		return true;
	case 'c':
		say_text(f, &(struct spec){.width = -1, .precision = 1},
			 (const char[2]){(char)va_arg(l->ap, int), '\0'});
		return true;
	case 'f':
	case 'g':
		fprintf(f, s->text, va_arg(l->ap, double));
		return true;
	case '%':
		fputc('%', f);
		return true;
	default:
		return say_number(f, s, l);
	}
}
#pragma GCC diagnostic pop

void say_list(FILE *f, const char *fmt, va_list ap)
{
	struct list l;
	va_copy(l.ap, ap);
	for (bool ok = true; ok && *fmt != '\0';) {
		struct spec s;
		size_t plain = strcspn(fmt, "%");
		fwrite(fmt, 1, plain, f);
		fmt += plain;
		if (*fmt == '\0')
			break;
		read_spec(fmt, &l, &s);
		ok = say_one(f, &s, &l);
		fmt += s.n;
	}
	va_end(l.ap);
}

void say(FILE *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say_list(f, fmt, ap);
	va_end(ap);
}
